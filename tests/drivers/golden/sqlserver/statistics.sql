-- every function of Count
SELECT count_big([Things].[Count]) AS m0, min([Things].[Count]) AS m1, max([Things].[Count]) AS m2, sum(CAST([Things].[Count] AS NUMERIC(38, 0))) AS m3, avg(CAST([Things].[Count] AS NUMERIC(38, 12))) AS m4
FROM [Things];

-- every function of Price
SELECT count_big([Things].[Price]) AS m0, min([Things].[Price]) AS m1, max([Things].[Price]) AS m2, sum([Things].[Price]) AS m3, avg(CAST([Things].[Price] AS NUMERIC(38, 12))) AS m4
FROM [Things];

-- every function of Made
SELECT count_big([Things].[Made]) AS m0, min([Things].[Made]) AS m1, max([Things].[Made]) AS m2, sum(CAST([Things].[Made] AS NUMERIC(38, 0))) AS m3, avg(CAST([Things].[Made] AS NUMERIC(38, 12))) AS m4
FROM [Things];

-- least and greatest of others
SELECT count_big([Things].[Active]) AS m0, min(CAST([Things].[Active] AS TINYINT)) AS m1, max(CAST([Things].[Active] AS TINYINT)) AS m2, count_big([Things].[Note]) AS m3, min([Things].[Note]) AS m4, max([Things].[Note]) AS m5
FROM [Things];

-- groups by every part of a date
-- @P1 BIGINT = 1
-- @P2 BIGINT = 1
SELECT count_big([Things].[ID]) AS m0, CASE WHEN ([Things].[Made] BETWEEN -62135596800000 AND 253402300799999) THEN datepart(YEAR, dateadd(DAY, CAST(([Things].[Made] - ((([Things].[Made] % 86400000) + 86400000) % 86400000)) / 86400000 AS INTEGER), CAST('1970-01-01' AS DATE))) END AS g0, CASE WHEN ([Things].[Made] BETWEEN -62135596800000 AND 253402300799999) THEN datepart(MONTH, dateadd(DAY, CAST(([Things].[Made] - ((([Things].[Made] % 86400000) + 86400000) % 86400000)) / 86400000 AS INTEGER), CAST('1970-01-01' AS DATE))) END AS g1, CASE WHEN ([Things].[Made] BETWEEN -62135596800000 AND 253402300799999) THEN datepart(DAY, dateadd(DAY, CAST(([Things].[Made] - ((([Things].[Made] % 86400000) + 86400000) % 86400000)) / 86400000 AS INTEGER), CAST('1970-01-01' AS DATE))) END AS g2, CASE WHEN ([Things].[Made] BETWEEN -62135596800000 AND 253402300799999) THEN CAST(((([Things].[Made] % 86400000) + 86400000) % 86400000) / 3600000 AS INTEGER) END AS g3, CASE WHEN ([Things].[Made] BETWEEN -62135596800000 AND 253402300799999) THEN CAST((((([Things].[Made] % 86400000) + 86400000) % 86400000) / 60000) % 60 AS INTEGER) END AS g4, CASE WHEN ([Things].[Made] BETWEEN -62135596800000 AND 253402300799999) THEN CAST((((([Things].[Made] % 86400000) + 86400000) % 86400000) / 1000) % 60 AS INTEGER) END AS g5
FROM [Things] GROUP BY CASE WHEN ([Things].[Made] BETWEEN -62135596800000 AND 253402300799999) THEN datepart(YEAR, dateadd(DAY, CAST(([Things].[Made] - ((([Things].[Made] % 86400000) + 86400000) % 86400000)) / 86400000 AS INTEGER), CAST('1970-01-01' AS DATE))) END, CASE WHEN ([Things].[Made] BETWEEN -62135596800000 AND 253402300799999) THEN datepart(MONTH, dateadd(DAY, CAST(([Things].[Made] - ((([Things].[Made] % 86400000) + 86400000) % 86400000)) / 86400000 AS INTEGER), CAST('1970-01-01' AS DATE))) END, CASE WHEN ([Things].[Made] BETWEEN -62135596800000 AND 253402300799999) THEN datepart(DAY, dateadd(DAY, CAST(([Things].[Made] - ((([Things].[Made] % 86400000) + 86400000) % 86400000)) / 86400000 AS INTEGER), CAST('1970-01-01' AS DATE))) END, CASE WHEN ([Things].[Made] BETWEEN -62135596800000 AND 253402300799999) THEN CAST(((([Things].[Made] % 86400000) + 86400000) % 86400000) / 3600000 AS INTEGER) END, CASE WHEN ([Things].[Made] BETWEEN -62135596800000 AND 253402300799999) THEN CAST((((([Things].[Made] % 86400000) + 86400000) % 86400000) / 60000) % 60 AS INTEGER) END, CASE WHEN ([Things].[Made] BETWEEN -62135596800000 AND 253402300799999) THEN CAST((((([Things].[Made] % 86400000) + 86400000) % 86400000) / 1000) % 60 AS INTEGER) END ORDER BY m0 DESC, g0 ASC, g1 ASC, g2 ASC, g3 ASC, g4 ASC, g5 ASC
 OFFSET ? ROWS
 FETCH FIRST ? ROWS ONLY;

-- groups of the caller's records, ascending
-- @P1 BIGINT = 1
-- @P2 BIGINT = 1
-- @P3 BIGINT = 1
SELECT sum([Things].[Price]) AS m0, count_big([Things].[ID]) AS m1, [Things].[Active] AS g0, [Things].[Note] AS g1
FROM [Things]
WHERE [Things].[Sponsor] = ? AND [Things].[Maker] IS NULL GROUP BY [Things].[Active], [Things].[Note] ORDER BY m0 ASC, m1 ASC, g0 ASC, g1 ASC
 OFFSET ? ROWS
 FETCH FIRST ? ROWS ONLY;

-- distinct values of Note
-- @P1 BIGINT = 1
-- @P2 BIGINT = 1
SELECT DISTINCT [Things].[Note]
FROM [Things] ORDER BY [Things].[Note] ASC
 OFFSET ? ROWS
 FETCH FIRST ? ROWS ONLY;

-- distinct values of Active
-- @P1 BIGINT = 1
-- @P2 BIGINT = 1
SELECT DISTINCT [Things].[Active]
FROM [Things] ORDER BY [Things].[Active] ASC
 OFFSET ? ROWS
 FETCH FIRST ? ROWS ONLY;

-- distinct values of the caller's records
-- @P1 BIGINT = 1
-- @P2 BIGINT = 1
-- @P3 BIGINT = 1
SELECT DISTINCT [Things].[Count]
FROM [Things]
WHERE [Things].[Sponsor] = ? ORDER BY [Things].[Count] ASC
 OFFSET ? ROWS
 FETCH FIRST ? ROWS ONLY;
