-- count all
SELECT count(*) AS count_1
FROM [Things];

-- count nulls
SELECT count(*) AS count_1
FROM [Things]
WHERE [Things].[Name] IS NULL;

-- too long
-- @P1 BIGINT = 1
-- @P2 BIGINT = 1
-- @P3 BIGINT = 1
-- @P4 BIGINT = 1
SELECT [Things].[ID], [Things].[Name]
FROM [Things]
WHERE [Things].[ID] > ? AND datalength([Things].[Name]) > ? ORDER BY [Things].[ID]
 OFFSET ? ROWS
 FETCH FIRST ? ROWS ONLY;

-- too many decimals
-- @P1 BIGINT = 1
SELECT count(*) AS count_1
FROM [Things]
WHERE ROUND([Things].[Price], CAST(? AS INT)) != [Things].[Price];

-- refers to a missing record
-- @P1 BIGINT = 1
-- @P2 BIGINT = 1
SELECT [Things].[ID]
FROM [Things]
WHERE [Things].[Maker] IS NOT NULL AND NOT (EXISTS (SELECT *
FROM [Makers] AS target
WHERE target.[ID] = [Things].[Maker])) ORDER BY [Things].[ID]
 OFFSET ? ROWS
 FETCH FIRST ? ROWS ONLY;

-- refers to a new table
-- @P1 BIGINT = 1
-- @P2 BIGINT = 1
SELECT [Things].[ID]
FROM [Things]
WHERE [Things].[Maker] IS NOT NULL ORDER BY [Things].[ID]
 OFFSET ? ROWS
 FETCH FIRST ? ROWS ONLY;

-- refers to a missing record of its table
SELECT count(*) AS count_1
FROM [Things]
WHERE [Things].[Whole] IS NOT NULL AND NOT (EXISTS (SELECT *
FROM [Things] AS target
WHERE target.[ID] = [Things].[Whole]));

-- count duplicates
SELECT sum(anon_1.records) AS sum_1
FROM (SELECT min([Things].[ID]) AS first, count(*) AS records
FROM [Things]
WHERE [Things].[Kind] IS NOT NULL AND [Things].[Grade] IS NOT NULL GROUP BY [Things].[Kind], [Things].[Grade]
HAVING count(*) > 1) AS anon_1;

-- first of each group
-- @P1 BIGINT = 1
-- @P2 BIGINT = 1
SELECT anon_1.first
FROM (SELECT min([Things].[ID]) AS first, count(*) AS records
FROM [Things]
WHERE [Things].[Kind] IS NOT NULL AND [Things].[Grade] IS NOT NULL GROUP BY [Things].[Kind], [Things].[Grade]
HAVING count(*) > 1) AS anon_1 ORDER BY anon_1.first
 OFFSET ? ROWS
 FETCH FIRST ? ROWS ONLY;

-- records with equal values
-- @P1 BIGINT = 1
-- @P2 BIGINT = 1
-- @P3 BIGINT = 1
SELECT [Things].[ID]
FROM [Things] JOIN [Things] AS first_one ON first_one.[Kind] = [Things].[Kind] AND first_one.[Grade] = [Things].[Grade]
WHERE first_one.[ID] = ? ORDER BY [Things].[ID]
 OFFSET ? ROWS
 FETCH FIRST ? ROWS ONLY;

-- count duplicates of a tenant
SELECT sum(anon_1.records) AS sum_1
FROM (SELECT min([Things].[ID]) AS first, count(*) AS records
FROM [Things]
WHERE [Things].[Kind] IS NOT NULL GROUP BY [Things].[Sponsor], [Things].[Kind]
HAVING count(*) > 1) AS anon_1;

-- equal values of a tenant
-- @P1 BIGINT = 1
-- @P2 BIGINT = 1
-- @P3 BIGINT = 1
SELECT [Things].[ID]
FROM [Things] JOIN [Things] AS first_one ON (first_one.[Sponsor] = [Things].[Sponsor] OR first_one.[Sponsor] IS NULL AND [Things].[Sponsor] IS NULL) AND first_one.[Kind] = [Things].[Kind]
WHERE first_one.[ID] = ? ORDER BY [Things].[ID]
 OFFSET ? ROWS
 FETCH FIRST ? ROWS ONLY;
