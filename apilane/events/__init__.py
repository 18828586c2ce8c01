"""Work after a change and beside the calls: the outbox, its delivery, jobs, and the leader of the cluster."""
