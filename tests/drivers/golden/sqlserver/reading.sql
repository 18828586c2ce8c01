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

-- count
SELECT count(*) AS count_1
FROM [Things];

-- count of the caller's records
-- @P1 BIGINT = 1
SELECT count(*) AS count_1
FROM [Things]
WHERE [Things].[Sponsor] = ?;
