"""The management API (``/api/manage/v1``), and the services that the Portal's pages use too."""
