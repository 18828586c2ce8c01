-- which conditions records meet
-- @P1 BIGINT = 1
-- @P2 BIGINT = 1
-- @P3 BIGINT = 1
SELECT [Things].[ID], CASE WHEN ([Things].[Count] = ?) THEN 1 ELSE 0 END AS m0, 1 AS m1
FROM [Things] WITH (UPDLOCK, ROWLOCK)
WHERE [Things].[ID] IN (?, ?) ORDER BY [Things].[ID];

-- one record
-- @P1 BIGINT = 1
SELECT [Things].[ID], [Things].[Name], [Things].[Note], [Things].[Code], [Things].[Kind], [Things].[Grade], [Things].[Count], [Things].[Price], [Things].[Exact], [Things].[Active], [Things].[Made], [Things].[Maker], [Things].[Sponsor], [Things].[Whole]
FROM [Things]
WHERE [Things].[ID] = ?;

-- page in the default order
-- @P1 BIGINT = 1
-- @P2 BIGINT = 1
SELECT [Things].[ID], [Things].[Name], [Things].[Note], [Things].[Code], [Things].[Kind], [Things].[Grade], [Things].[Count], [Things].[Price], [Things].[Exact], [Things].[Active], [Things].[Made], [Things].[Maker], [Things].[Sponsor], [Things].[Whole]
FROM [Things] ORDER BY [Things].[ID] ASC
 OFFSET ? ROWS
 FETCH FIRST ? ROWS ONLY;

-- page by two keys
-- @P1 BIGINT = 1
-- @P2 BIGINT = 1
SELECT [Things].[ID]
FROM [Things] ORDER BY [Things].[Name] DESC, [Things].[Made] ASC, [Things].[ID] ASC
 OFFSET ? ROWS
 FETCH FIRST ? ROWS ONLY;

-- page by a key twice and ID
-- @P1 BIGINT = 1
-- @P2 BIGINT = 1
SELECT [Things].[ID]
FROM [Things] ORDER BY [Things].[Name] ASC, [Things].[ID] ASC
 OFFSET ? ROWS
 FETCH FIRST ? ROWS ONLY;

-- page of the caller's records
-- @P1 BIGINT = 1
-- @P2 BIGINT = 1
-- @P3 BIGINT = 1
SELECT [Things].[ID]
FROM [Things]
WHERE [Things].[Sponsor] = ? AND [Things].[Maker] IS NULL ORDER BY [Things].[ID] ASC
 OFFSET ? ROWS
 FETCH FIRST ? ROWS ONLY;

-- ordered, not paged
SELECT [Things].[ID]
FROM [Things] ORDER BY [Things].[Count] ASC, [Things].[ID] ASC;

-- read on asc, (False, False, False): tied
-- @P1 BIGINT = 1
-- @P2 BIGINT = 1
-- @P3 BIGINT = 1
-- @P4 BIGINT = 1
-- @P5 BIGINT = 1
-- @P6 BIGINT = 1
SELECT [Things].[ID]
FROM [Things]
WHERE [Things].[Price] = ? AND ([Things].[Note] < ? OR [Things].[Note] IS NULL OR [Things].[Note] = ? AND [Things].[ID] > ?) ORDER BY [Things].[Price] ASC, [Things].[Note] DESC, [Things].[ID] ASC
 OFFSET ? ROWS
 FETCH FIRST ? ROWS ONLY;

-- read on asc, (False, False, False): beyond
-- @P1 BIGINT = 1
-- @P2 BIGINT = 1
-- @P3 BIGINT = 1
SELECT [Things].[ID]
FROM [Things]
WHERE [Things].[Price] > ? ORDER BY [Things].[Price] ASC, [Things].[Note] DESC, [Things].[ID] ASC
 OFFSET ? ROWS
 FETCH FIRST ? ROWS ONLY;

-- read on asc, (True, False, False): tied
-- @P1 BIGINT = 1
-- @P2 BIGINT = 1
-- @P3 BIGINT = 1
-- @P4 BIGINT = 1
-- @P5 BIGINT = 1
SELECT [Things].[ID]
FROM [Things]
WHERE [Things].[Price] IS NULL AND ([Things].[Note] < ? OR [Things].[Note] IS NULL OR [Things].[Note] = ? AND [Things].[ID] > ?) ORDER BY [Things].[Price] ASC, [Things].[Note] DESC, [Things].[ID] ASC
 OFFSET ? ROWS
 FETCH FIRST ? ROWS ONLY;

-- read on asc, (True, False, False): beyond
-- @P1 BIGINT = 1
-- @P2 BIGINT = 1
SELECT [Things].[ID]
FROM [Things]
WHERE [Things].[Price] IS NOT NULL ORDER BY [Things].[Price] ASC, [Things].[Note] DESC, [Things].[ID] ASC
 OFFSET ? ROWS
 FETCH FIRST ? ROWS ONLY;

-- read on asc, (False, True, False): tied
-- @P1 BIGINT = 1
-- @P2 BIGINT = 1
-- @P3 BIGINT = 1
-- @P4 BIGINT = 1
SELECT [Things].[ID]
FROM [Things]
WHERE [Things].[Price] = ? AND [Things].[Note] IS NULL AND [Things].[ID] > ? ORDER BY [Things].[Price] ASC, [Things].[Note] DESC, [Things].[ID] ASC
 OFFSET ? ROWS
 FETCH FIRST ? ROWS ONLY;

-- read on asc, (False, True, False): beyond
-- @P1 BIGINT = 1
-- @P2 BIGINT = 1
-- @P3 BIGINT = 1
SELECT [Things].[ID]
FROM [Things]
WHERE [Things].[Price] > ? ORDER BY [Things].[Price] ASC, [Things].[Note] DESC, [Things].[ID] ASC
 OFFSET ? ROWS
 FETCH FIRST ? ROWS ONLY;

-- read on desc, (False, False, False): tied
-- @P1 BIGINT = 1
-- @P2 BIGINT = 1
-- @P3 BIGINT = 1
-- @P4 BIGINT = 1
-- @P5 BIGINT = 1
-- @P6 BIGINT = 1
SELECT [Things].[ID]
FROM [Things]
WHERE [Things].[Price] = ? AND ([Things].[Note] > ? OR [Things].[Note] = ? AND [Things].[ID] > ?) ORDER BY [Things].[Price] DESC, [Things].[Note] ASC, [Things].[ID] ASC
 OFFSET ? ROWS
 FETCH FIRST ? ROWS ONLY;

-- read on desc, (False, False, False): beyond
-- @P1 BIGINT = 1
-- @P2 BIGINT = 1
-- @P3 BIGINT = 1
SELECT [Things].[ID]
FROM [Things]
WHERE [Things].[Price] < ? ORDER BY [Things].[Price] DESC, [Things].[Note] ASC, [Things].[ID] ASC
 OFFSET ? ROWS
 FETCH FIRST ? ROWS ONLY;

-- read on desc, (False, False, False): null
-- @P1 BIGINT = 1
-- @P2 BIGINT = 1
SELECT [Things].[ID]
FROM [Things]
WHERE [Things].[Price] IS NULL ORDER BY [Things].[Price] DESC, [Things].[Note] ASC, [Things].[ID] ASC
 OFFSET ? ROWS
 FETCH FIRST ? ROWS ONLY;

-- read on desc, (True, False, False): tied
-- @P1 BIGINT = 1
-- @P2 BIGINT = 1
-- @P3 BIGINT = 1
-- @P4 BIGINT = 1
-- @P5 BIGINT = 1
SELECT [Things].[ID]
FROM [Things]
WHERE [Things].[Price] IS NULL AND ([Things].[Note] > ? OR [Things].[Note] = ? AND [Things].[ID] > ?) ORDER BY [Things].[Price] DESC, [Things].[Note] ASC, [Things].[ID] ASC
 OFFSET ? ROWS
 FETCH FIRST ? ROWS ONLY;

-- read on desc, (False, True, False): tied
-- @P1 BIGINT = 1
-- @P2 BIGINT = 1
-- @P3 BIGINT = 1
-- @P4 BIGINT = 1
SELECT [Things].[ID]
FROM [Things]
WHERE [Things].[Price] = ? AND ([Things].[Note] IS NOT NULL OR [Things].[Note] IS NULL AND [Things].[ID] > ?) ORDER BY [Things].[Price] DESC, [Things].[Note] ASC, [Things].[ID] ASC
 OFFSET ? ROWS
 FETCH FIRST ? ROWS ONLY;

-- read on desc, (False, True, False): beyond
-- @P1 BIGINT = 1
-- @P2 BIGINT = 1
-- @P3 BIGINT = 1
SELECT [Things].[ID]
FROM [Things]
WHERE [Things].[Price] < ? ORDER BY [Things].[Price] DESC, [Things].[Note] ASC, [Things].[ID] ASC
 OFFSET ? ROWS
 FETCH FIRST ? ROWS ONLY;

-- read on desc, (False, True, False): null
-- @P1 BIGINT = 1
-- @P2 BIGINT = 1
SELECT [Things].[ID]
FROM [Things]
WHERE [Things].[Price] IS NULL ORDER BY [Things].[Price] DESC, [Things].[Note] ASC, [Things].[ID] ASC
 OFFSET ? ROWS
 FETCH FIRST ? ROWS ONLY;

-- page under conditions of rules
-- @P1 BIGINT = 1
-- @P2 BIGINT = 1
-- @P3 BIGINT = 1
-- @P4 BIGINT = 1
-- @P5 BIGINT = 1
SELECT [Things].[ID], CASE WHEN ([Things].[Count] = ?) THEN [Things].[Name] ELSE NULL END AS m1
FROM [Things]
WHERE [Things].[Count] = ? OR [Things].[Made] < ? ORDER BY [Things].[ID] ASC
 OFFSET ? ROWS
 FETCH FIRST ? ROWS ONLY;

-- related records
-- @P1 BIGINT = 1
-- @P2 BIGINT = 1
-- @P3 BIGINT = 1
SELECT [Things].[ID], [Things].[Name]
FROM [Things]
WHERE [Things].[ID] IN (?, ?) AND [Things].[Sponsor] = ?;

-- records that refer to some
-- @P1 BIGINT = 1
-- @P2 BIGINT = 1
-- @P3 BIGINT = 1
-- @P4 BIGINT = 1
-- @P5 BIGINT = 1
-- @P6 BIGINT = 1
SELECT found.c0, found.c1, found.c2
FROM (SELECT [Things].[Maker] AS c0, [Things].[ID] AS c1, [Things].[Name] AS c2, row_number() OVER (PARTITION BY [Things].[Maker] ORDER BY [Things].[Name] DESC, [Things].[ID] ASC) AS place
FROM [Things]
WHERE [Things].[Maker] IN (?, ?) AND [Things].[Sponsor] = ?) AS found
WHERE found.place <= ? ORDER BY found.c0, found.place
 OFFSET ? ROWS
 FETCH FIRST ? ROWS ONLY;

-- count
SELECT count(*) AS count_1
FROM [Things];

-- count of the caller's records
-- @P1 BIGINT = 1
SELECT count(*) AS count_1
FROM [Things]
WHERE [Things].[Sponsor] = ?;
