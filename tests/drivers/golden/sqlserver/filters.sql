-- Code equal 'cup'
-- @P1 NVARCHAR(4000) = 'cup'
-- @P2 NVARCHAR(4000) = 'cup'
-- @P3 NVARCHAR(4000) = 'cup'
SELECT count(*) AS count_1
FROM [Things]
WHERE [Things].[Code] = ? AND translate([Things].[Code] COLLATE Latin1_General_100_BIN2, N'ABCDEFGHIJKLMNOPQRSTUVWXYZ', N'abcdefghijklmnopqrstuvwxyz') = ? AND datalength([Things].[Code]) = datalength(?);

-- Code equal '\xc9mile'
-- @P1 NVARCHAR(4000) = '\xc9mile'
-- @P2 NVARCHAR(4000) = '\xc9mile'
-- @P3 NVARCHAR(4000) = '\xc9mile'
SELECT count(*) AS count_1
FROM [Things]
WHERE [Things].[Code] = ? AND replace(lower([Things].[Code] COLLATE Latin1_General_100_BIN2), NCHAR(962), NCHAR(963)) = replace(lower(? COLLATE Latin1_General_100_BIN2), NCHAR(962), NCHAR(963)) AND datalength([Things].[Code]) = datalength(?);

-- Code equal '\u03a3\u038a\u03a3\u03a5\u03a6\u039f\u03a3'
-- @P1 NVARCHAR(4000) = '\u03a3\u038a\u03a3\u03a5\u03a6\u039f\u03a3'
-- @P2 NVARCHAR(4000) = '\u03a3\u038a\u03a3\u03a5\u03a6\u039f\u03a3'
SELECT count(*) AS count_1
FROM [Things]
WHERE replace(lower([Things].[Code] COLLATE Latin1_General_100_BIN2), NCHAR(962), NCHAR(963)) = replace(lower(? COLLATE Latin1_General_100_BIN2), NCHAR(962), NCHAR(963)) AND datalength([Things].[Code]) = datalength(?);

-- Code equal '@[_%'
-- @P1 NVARCHAR(4000) = '@[_%'
-- @P2 NVARCHAR(4000) = '@[_%'
-- @P3 NVARCHAR(4000) = '@[_%'
SELECT count(*) AS count_1
FROM [Things]
WHERE [Things].[Code] = ? AND translate([Things].[Code] COLLATE Latin1_General_100_BIN2, N'ABCDEFGHIJKLMNOPQRSTUVWXYZ', N'abcdefghijklmnopqrstuvwxyz') = ? AND datalength([Things].[Code]) = datalength(?);

-- Code equal ''
-- @P1 NVARCHAR(4000) = ''
-- @P2 NVARCHAR(4000) = ''
-- @P3 NVARCHAR(4000) = ''
SELECT count(*) AS count_1
FROM [Things]
WHERE [Things].[Code] = ? AND translate([Things].[Code] COLLATE Latin1_General_100_BIN2, N'ABCDEFGHIJKLMNOPQRSTUVWXYZ', N'abcdefghijklmnopqrstuvwxyz') = ? AND datalength([Things].[Code]) = datalength(?);

-- Code equal 4001 letters
-- @P1 NVARCHAR(MAX) = 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...'
-- @P2 NVARCHAR(MAX) = 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...'
-- @P3 NVARCHAR(MAX) = 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...'
SELECT count(*) AS count_1
FROM [Things]
WHERE [Things].[Code] = ? AND translate([Things].[Code] COLLATE Latin1_General_100_BIN2, N'ABCDEFGHIJKLMNOPQRSTUVWXYZ', N'abcdefghijklmnopqrstuvwxyz') = ? AND datalength([Things].[Code]) = datalength(?);

-- Code notequal 'cup'
-- @P1 NVARCHAR(4000) = 'cup'
-- @P2 NVARCHAR(4000) = 'cup'
SELECT count(*) AS count_1
FROM [Things]
WHERE translate([Things].[Code] COLLATE Latin1_General_100_BIN2, N'ABCDEFGHIJKLMNOPQRSTUVWXYZ', N'abcdefghijklmnopqrstuvwxyz') != ? OR datalength([Things].[Code]) != datalength(?);

-- Code notequal '\xc9mile'
-- @P1 NVARCHAR(4000) = '\xc9mile'
-- @P2 NVARCHAR(4000) = '\xc9mile'
SELECT count(*) AS count_1
FROM [Things]
WHERE replace(lower([Things].[Code] COLLATE Latin1_General_100_BIN2), NCHAR(962), NCHAR(963)) != replace(lower(? COLLATE Latin1_General_100_BIN2), NCHAR(962), NCHAR(963)) OR datalength([Things].[Code]) != datalength(?);

-- Code notequal '\u03a3\u038a\u03a3\u03a5\u03a6\u039f\u03a3'
-- @P1 NVARCHAR(4000) = '\u03a3\u038a\u03a3\u03a5\u03a6\u039f\u03a3'
-- @P2 NVARCHAR(4000) = '\u03a3\u038a\u03a3\u03a5\u03a6\u039f\u03a3'
SELECT count(*) AS count_1
FROM [Things]
WHERE replace(lower([Things].[Code] COLLATE Latin1_General_100_BIN2), NCHAR(962), NCHAR(963)) != replace(lower(? COLLATE Latin1_General_100_BIN2), NCHAR(962), NCHAR(963)) OR datalength([Things].[Code]) != datalength(?);

-- Code notequal '@[_%'
-- @P1 NVARCHAR(4000) = '@[_%'
-- @P2 NVARCHAR(4000) = '@[_%'
SELECT count(*) AS count_1
FROM [Things]
WHERE translate([Things].[Code] COLLATE Latin1_General_100_BIN2, N'ABCDEFGHIJKLMNOPQRSTUVWXYZ', N'abcdefghijklmnopqrstuvwxyz') != ? OR datalength([Things].[Code]) != datalength(?);

-- Code notequal ''
-- @P1 NVARCHAR(4000) = ''
-- @P2 NVARCHAR(4000) = ''
SELECT count(*) AS count_1
FROM [Things]
WHERE translate([Things].[Code] COLLATE Latin1_General_100_BIN2, N'ABCDEFGHIJKLMNOPQRSTUVWXYZ', N'abcdefghijklmnopqrstuvwxyz') != ? OR datalength([Things].[Code]) != datalength(?);

-- Code notequal 4001 letters
-- @P1 NVARCHAR(MAX) = 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...'
-- @P2 NVARCHAR(MAX) = 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...'
SELECT count(*) AS count_1
FROM [Things]
WHERE translate([Things].[Code] COLLATE Latin1_General_100_BIN2, N'ABCDEFGHIJKLMNOPQRSTUVWXYZ', N'abcdefghijklmnopqrstuvwxyz') != ? OR datalength([Things].[Code]) != datalength(?);

-- Code startswith 'cup'
-- @P1 NVARCHAR(4000) = 'cup'
-- @P2 NVARCHAR(4000) = 'cuq'
-- @P3 BIGINT = 3
-- @P4 NVARCHAR(4000) = 'cup'
-- @P5 NVARCHAR(4000) = 'cup'
SELECT count(*) AS count_1
FROM [Things]
WHERE [Things].[Code] >= ? AND [Things].[Code] < ? AND left(translate([Things].[Code] COLLATE Latin1_General_100_BIN2, N'ABCDEFGHIJKLMNOPQRSTUVWXYZ', N'abcdefghijklmnopqrstuvwxyz'), ?) = ? AND datalength([Things].[Code]) >= datalength(?);

-- Code startswith '\xc9mile'
-- @P1 BIGINT = 5
-- @P2 NVARCHAR(4000) = '\xc9mile'
-- @P3 NVARCHAR(4000) = '\xc9mile'
SELECT count(*) AS count_1
FROM [Things]
WHERE left(replace(lower([Things].[Code] COLLATE Latin1_General_100_BIN2), NCHAR(962), NCHAR(963)), ?) = replace(lower(? COLLATE Latin1_General_100_BIN2), NCHAR(962), NCHAR(963)) AND datalength([Things].[Code]) >= datalength(?);

-- Code startswith '\u03a3\u038a\u03a3\u03a5\u03a6\u039f\u03a3'
-- @P1 BIGINT = 7
-- @P2 NVARCHAR(4000) = '\u03a3\u038a\u03a3\u03a5\u03a6\u039f\u03a3'
-- @P3 NVARCHAR(4000) = '\u03a3\u038a\u03a3\u03a5\u03a6\u039f\u03a3'
SELECT count(*) AS count_1
FROM [Things]
WHERE left(replace(lower([Things].[Code] COLLATE Latin1_General_100_BIN2), NCHAR(962), NCHAR(963)), ?) = replace(lower(? COLLATE Latin1_General_100_BIN2), NCHAR(962), NCHAR(963)) AND datalength([Things].[Code]) >= datalength(?);

-- Code startswith '@[_%'
-- @P1 BIGINT = 4
-- @P2 NVARCHAR(4000) = '@[_%'
-- @P3 NVARCHAR(4000) = '@[_%'
SELECT count(*) AS count_1
FROM [Things]
WHERE left(translate([Things].[Code] COLLATE Latin1_General_100_BIN2, N'ABCDEFGHIJKLMNOPQRSTUVWXYZ', N'abcdefghijklmnopqrstuvwxyz'), ?) = ? AND datalength([Things].[Code]) >= datalength(?);

-- Code startswith ''
SELECT count(*) AS count_1
FROM [Things]
WHERE [Things].[Code] IS NOT NULL;

-- Code startswith 4001 letters
-- @P1 NVARCHAR(MAX) = 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...'
-- @P2 NVARCHAR(MAX) = 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...y'
-- @P3 BIGINT = 4001
-- @P4 NVARCHAR(MAX) = 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...'
-- @P5 NVARCHAR(MAX) = 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...'
SELECT count(*) AS count_1
FROM [Things]
WHERE [Things].[Code] >= ? AND [Things].[Code] < ? AND left(translate([Things].[Code] COLLATE Latin1_General_100_BIN2, N'ABCDEFGHIJKLMNOPQRSTUVWXYZ', N'abcdefghijklmnopqrstuvwxyz'), ?) = ? AND datalength([Things].[Code]) >= datalength(?);

-- Code endswith 'cup'
-- @P1 BIGINT = 3
-- @P2 NVARCHAR(4000) = 'cup'
-- @P3 NVARCHAR(4000) = 'cup'
SELECT count(*) AS count_1
FROM [Things]
WHERE right(translate([Things].[Code] COLLATE Latin1_General_100_BIN2, N'ABCDEFGHIJKLMNOPQRSTUVWXYZ', N'abcdefghijklmnopqrstuvwxyz'), ?) = ? AND datalength([Things].[Code]) >= datalength(?);

-- Code endswith '\xc9mile'
-- @P1 BIGINT = 5
-- @P2 NVARCHAR(4000) = '\xc9mile'
-- @P3 NVARCHAR(4000) = '\xc9mile'
SELECT count(*) AS count_1
FROM [Things]
WHERE right(replace(lower([Things].[Code] COLLATE Latin1_General_100_BIN2), NCHAR(962), NCHAR(963)), ?) = replace(lower(? COLLATE Latin1_General_100_BIN2), NCHAR(962), NCHAR(963)) AND datalength([Things].[Code]) >= datalength(?);

-- Code endswith '\u03a3\u038a\u03a3\u03a5\u03a6\u039f\u03a3'
-- @P1 BIGINT = 7
-- @P2 NVARCHAR(4000) = '\u03a3\u038a\u03a3\u03a5\u03a6\u039f\u03a3'
-- @P3 NVARCHAR(4000) = '\u03a3\u038a\u03a3\u03a5\u03a6\u039f\u03a3'
SELECT count(*) AS count_1
FROM [Things]
WHERE right(replace(lower([Things].[Code] COLLATE Latin1_General_100_BIN2), NCHAR(962), NCHAR(963)), ?) = replace(lower(? COLLATE Latin1_General_100_BIN2), NCHAR(962), NCHAR(963)) AND datalength([Things].[Code]) >= datalength(?);

-- Code endswith '@[_%'
-- @P1 BIGINT = 4
-- @P2 NVARCHAR(4000) = '@[_%'
-- @P3 NVARCHAR(4000) = '@[_%'
SELECT count(*) AS count_1
FROM [Things]
WHERE right(translate([Things].[Code] COLLATE Latin1_General_100_BIN2, N'ABCDEFGHIJKLMNOPQRSTUVWXYZ', N'abcdefghijklmnopqrstuvwxyz'), ?) = ? AND datalength([Things].[Code]) >= datalength(?);

-- Code endswith ''
SELECT count(*) AS count_1
FROM [Things]
WHERE [Things].[Code] IS NOT NULL;

-- Code endswith 4001 letters
-- @P1 BIGINT = 4001
-- @P2 NVARCHAR(MAX) = 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...'
-- @P3 NVARCHAR(MAX) = 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...'
SELECT count(*) AS count_1
FROM [Things]
WHERE right(translate([Things].[Code] COLLATE Latin1_General_100_BIN2, N'ABCDEFGHIJKLMNOPQRSTUVWXYZ', N'abcdefghijklmnopqrstuvwxyz'), ?) = ? AND datalength([Things].[Code]) >= datalength(?);

-- Code contains 'cup'
-- @P1 NVARCHAR(4000) = 'cup'
SELECT count(*) AS count_1
FROM [Things]
WHERE charindex(?, translate([Things].[Code] COLLATE Latin1_General_100_BIN2, N'ABCDEFGHIJKLMNOPQRSTUVWXYZ', N'abcdefghijklmnopqrstuvwxyz')) > 0;

-- Code contains '\xc9mile'
-- @P1 NVARCHAR(4000) = '\xc9mile'
SELECT count(*) AS count_1
FROM [Things]
WHERE charindex(replace(lower(? COLLATE Latin1_General_100_BIN2), NCHAR(962), NCHAR(963)), replace(lower([Things].[Code] COLLATE Latin1_General_100_BIN2), NCHAR(962), NCHAR(963))) > 0;

-- Code contains '\u03a3\u038a\u03a3\u03a5\u03a6\u039f\u03a3'
-- @P1 NVARCHAR(4000) = '\u03a3\u038a\u03a3\u03a5\u03a6\u039f\u03a3'
SELECT count(*) AS count_1
FROM [Things]
WHERE charindex(replace(lower(? COLLATE Latin1_General_100_BIN2), NCHAR(962), NCHAR(963)), replace(lower([Things].[Code] COLLATE Latin1_General_100_BIN2), NCHAR(962), NCHAR(963))) > 0;

-- Code contains '@[_%'
-- @P1 NVARCHAR(4000) = '@[_%'
SELECT count(*) AS count_1
FROM [Things]
WHERE charindex(?, translate([Things].[Code] COLLATE Latin1_General_100_BIN2, N'ABCDEFGHIJKLMNOPQRSTUVWXYZ', N'abcdefghijklmnopqrstuvwxyz')) > 0;

-- Code contains ''
SELECT count(*) AS count_1
FROM [Things]
WHERE [Things].[Code] IS NOT NULL;

-- Code contains 4001 letters
-- @P1 NVARCHAR(4000) = 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...'
-- @P2 NVARCHAR(4000) = 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...'
-- @P3 BIGINT = 4001
-- @P4 NVARCHAR(MAX) = 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...'
SELECT count(*) AS count_1
FROM [Things]
WHERE charindex(?, translate([Things].[Code] COLLATE Latin1_General_100_BIN2, N'ABCDEFGHIJKLMNOPQRSTUVWXYZ', N'abcdefghijklmnopqrstuvwxyz')) > 0 AND substring(translate([Things].[Code] COLLATE Latin1_General_100_BIN2, N'ABCDEFGHIJKLMNOPQRSTUVWXYZ', N'abcdefghijklmnopqrstuvwxyz'), charindex(?, translate([Things].[Code] COLLATE Latin1_General_100_BIN2, N'ABCDEFGHIJKLMNOPQRSTUVWXYZ', N'abcdefghijklmnopqrstuvwxyz')), ?) = ?;

-- Code notcontains 'cup'
-- @P1 NVARCHAR(4000) = 'cup'
SELECT count(*) AS count_1
FROM [Things]
WHERE (charindex(?, translate([Things].[Code] COLLATE Latin1_General_100_BIN2, N'ABCDEFGHIJKLMNOPQRSTUVWXYZ', N'abcdefghijklmnopqrstuvwxyz')) <= 0);

-- Code notcontains '\xc9mile'
-- @P1 NVARCHAR(4000) = '\xc9mile'
SELECT count(*) AS count_1
FROM [Things]
WHERE (charindex(replace(lower(? COLLATE Latin1_General_100_BIN2), NCHAR(962), NCHAR(963)), replace(lower([Things].[Code] COLLATE Latin1_General_100_BIN2), NCHAR(962), NCHAR(963))) <= 0);

-- Code notcontains '\u03a3\u038a\u03a3\u03a5\u03a6\u039f\u03a3'
-- @P1 NVARCHAR(4000) = '\u03a3\u038a\u03a3\u03a5\u03a6\u039f\u03a3'
SELECT count(*) AS count_1
FROM [Things]
WHERE (charindex(replace(lower(? COLLATE Latin1_General_100_BIN2), NCHAR(962), NCHAR(963)), replace(lower([Things].[Code] COLLATE Latin1_General_100_BIN2), NCHAR(962), NCHAR(963))) <= 0);

-- Code notcontains '@[_%'
-- @P1 NVARCHAR(4000) = '@[_%'
SELECT count(*) AS count_1
FROM [Things]
WHERE (charindex(?, translate([Things].[Code] COLLATE Latin1_General_100_BIN2, N'ABCDEFGHIJKLMNOPQRSTUVWXYZ', N'abcdefghijklmnopqrstuvwxyz')) <= 0);

-- Code notcontains ''
SELECT count(*) AS count_1
FROM [Things]
WHERE 0 = 1;

-- Code notcontains 4001 letters
-- @P1 NVARCHAR(4000) = 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...'
-- @P2 NVARCHAR(4000) = 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...'
-- @P3 BIGINT = 4001
-- @P4 NVARCHAR(MAX) = 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...'
SELECT count(*) AS count_1
FROM [Things]
WHERE (NOT (charindex(?, translate([Things].[Code] COLLATE Latin1_General_100_BIN2, N'ABCDEFGHIJKLMNOPQRSTUVWXYZ', N'abcdefghijklmnopqrstuvwxyz')) > 0 AND substring(translate([Things].[Code] COLLATE Latin1_General_100_BIN2, N'ABCDEFGHIJKLMNOPQRSTUVWXYZ', N'abcdefghijklmnopqrstuvwxyz'), charindex(?, translate([Things].[Code] COLLATE Latin1_General_100_BIN2, N'ABCDEFGHIJKLMNOPQRSTUVWXYZ', N'abcdefghijklmnopqrstuvwxyz')), ?) = ?));

-- Code greater text
-- @P1 NVARCHAR(4000) = 'm'
SELECT count(*) AS count_1
FROM [Things]
WHERE [Things].[Code] > ?;

-- Code greaterorequal text
-- @P1 NVARCHAR(4000) = 'm'
SELECT count(*) AS count_1
FROM [Things]
WHERE [Things].[Code] >= ?;

-- Code less text
-- @P1 NVARCHAR(4000) = 'm'
SELECT count(*) AS count_1
FROM [Things]
WHERE [Things].[Code] < ?;

-- Code lessorequal text
-- @P1 NVARCHAR(4000) = 'm'
SELECT count(*) AS count_1
FROM [Things]
WHERE [Things].[Code] <= ?;

-- Count equal 2
-- @P1 BIGINT = 2
SELECT count(*) AS count_1
FROM [Things]
WHERE [Things].[Count] = ?;

-- Price equal 2.5
-- @P1 DECIMAL(38,19) = 2.5
SELECT count(*) AS count_1
FROM [Things]
WHERE [Things].[Price] = ?;

-- Made equal date
-- @P1 BIGINT = 4102444800000
SELECT count(*) AS count_1
FROM [Things]
WHERE [Things].[Made] = ?;

-- Count notequal 2
-- @P1 BIGINT = 2
SELECT count(*) AS count_1
FROM [Things]
WHERE [Things].[Count] != ?;

-- Price notequal 2.5
-- @P1 DECIMAL(38,19) = 2.5
SELECT count(*) AS count_1
FROM [Things]
WHERE [Things].[Price] != ?;

-- Made notequal date
-- @P1 BIGINT = 4102444800000
SELECT count(*) AS count_1
FROM [Things]
WHERE [Things].[Made] != ?;

-- Count greater 2
-- @P1 BIGINT = 2
SELECT count(*) AS count_1
FROM [Things]
WHERE [Things].[Count] > ?;

-- Price greater 2.5
-- @P1 DECIMAL(38,19) = 2.5
SELECT count(*) AS count_1
FROM [Things]
WHERE [Things].[Price] > ?;

-- Made greater date
-- @P1 BIGINT = 4102444800000
SELECT count(*) AS count_1
FROM [Things]
WHERE [Things].[Made] > ?;

-- Count greaterorequal 2
-- @P1 BIGINT = 2
SELECT count(*) AS count_1
FROM [Things]
WHERE [Things].[Count] >= ?;

-- Price greaterorequal 2.5
-- @P1 DECIMAL(38,19) = 2.5
SELECT count(*) AS count_1
FROM [Things]
WHERE [Things].[Price] >= ?;

-- Made greaterorequal date
-- @P1 BIGINT = 4102444800000
SELECT count(*) AS count_1
FROM [Things]
WHERE [Things].[Made] >= ?;

-- Count less 2
-- @P1 BIGINT = 2
SELECT count(*) AS count_1
FROM [Things]
WHERE [Things].[Count] < ?;

-- Price less 2.5
-- @P1 DECIMAL(38,19) = 2.5
SELECT count(*) AS count_1
FROM [Things]
WHERE [Things].[Price] < ?;

-- Made less date
-- @P1 BIGINT = 4102444800000
SELECT count(*) AS count_1
FROM [Things]
WHERE [Things].[Made] < ?;

-- Count lessorequal 2
-- @P1 BIGINT = 2
SELECT count(*) AS count_1
FROM [Things]
WHERE [Things].[Count] <= ?;

-- Price lessorequal 2.5
-- @P1 DECIMAL(38,19) = 2.5
SELECT count(*) AS count_1
FROM [Things]
WHERE [Things].[Price] <= ?;

-- Made lessorequal date
-- @P1 BIGINT = 4102444800000
SELECT count(*) AS count_1
FROM [Things]
WHERE [Things].[Made] <= ?;

-- Count contains list
-- @P1 BIGINT = 1
-- @P2 BIGINT = 2
-- @P3 BIGINT = 3
-- @P4 BIGINT = 3
SELECT count(*) AS count_1
FROM [Things]
WHERE [Things].[Count] IN (?, ?, ?, ?);

-- Count contains no list
SELECT count(*) AS count_1
FROM [Things]
WHERE 0 = 1;

-- Code contains list
-- @P1 NVARCHAR(4000) = 'a'
-- @P2 NVARCHAR(4000) = 'a'
-- @P3 NVARCHAR(4000) = 'a'
-- @P4 NVARCHAR(4000) = '\xc9'
-- @P5 NVARCHAR(4000) = '\xc9'
-- @P6 NVARCHAR(4000) = '\xc9'
SELECT count(*) AS count_1
FROM [Things]
WHERE [Things].[Code] = ? AND translate([Things].[Code] COLLATE Latin1_General_100_BIN2, N'ABCDEFGHIJKLMNOPQRSTUVWXYZ', N'abcdefghijklmnopqrstuvwxyz') = ? AND datalength([Things].[Code]) = datalength(?) OR [Things].[Code] = ? AND replace(lower([Things].[Code] COLLATE Latin1_General_100_BIN2), NCHAR(962), NCHAR(963)) = replace(lower(? COLLATE Latin1_General_100_BIN2), NCHAR(962), NCHAR(963)) AND datalength([Things].[Code]) = datalength(?);

-- Count notcontains list
-- @P1 BIGINT = 1
-- @P2 BIGINT = 2
-- @P3 BIGINT = 3
-- @P4 BIGINT = 3
SELECT count(*) AS count_1
FROM [Things]
WHERE ([Things].[Count] NOT IN (?, ?, ?, ?));

-- Count notcontains no list
SELECT count(*) AS count_1
FROM [Things]
WHERE 1 = 1;

-- Code notcontains list
-- @P1 NVARCHAR(4000) = 'a'
-- @P2 NVARCHAR(4000) = 'a'
-- @P3 NVARCHAR(4000) = '\xc9'
-- @P4 NVARCHAR(4000) = '\xc9'
SELECT count(*) AS count_1
FROM [Things]
WHERE (translate([Things].[Code] COLLATE Latin1_General_100_BIN2, N'ABCDEFGHIJKLMNOPQRSTUVWXYZ', N'abcdefghijklmnopqrstuvwxyz') != ? OR datalength([Things].[Code]) != datalength(?)) AND (replace(lower([Things].[Code] COLLATE Latin1_General_100_BIN2), NCHAR(962), NCHAR(963)) != replace(lower(? COLLATE Latin1_General_100_BIN2), NCHAR(962), NCHAR(963)) OR datalength([Things].[Code]) != datalength(?));

-- Note equal null
SELECT count(*) AS count_1
FROM [Things]
WHERE [Things].[Note] IS NULL;

-- Active equal true
-- @P1 BIT = True
SELECT count(*) AS count_1
FROM [Things]
WHERE [Things].[Active] = ?;

-- Active equal false
-- @P1 BIT = False
SELECT count(*) AS count_1
FROM [Things]
WHERE [Things].[Active] = ? OR [Things].[Active] IS NULL;

-- Note notequal null
SELECT count(*) AS count_1
FROM [Things]
WHERE [Things].[Note] IS NOT NULL;

-- Active notequal true
-- @P1 BIT = False
SELECT count(*) AS count_1
FROM [Things]
WHERE [Things].[Active] = ? OR [Things].[Active] IS NULL;

-- Active notequal false
-- @P1 BIT = True
SELECT count(*) AS count_1
FROM [Things]
WHERE [Things].[Active] = ?;

-- groups
-- @P1 BIGINT = 1
-- @P2 NVARCHAR(4000) = 'a'
-- @P3 NVARCHAR(4000) = 'a'
-- @P4 NVARCHAR(4000) = 'a'
-- @P5 BIT = True
SELECT count(*) AS count_1
FROM [Things]
WHERE ([Things].[Count] = ? OR [Things].[Code] = ? AND translate([Things].[Code] COLLATE Latin1_General_100_BIN2, N'ABCDEFGHIJKLMNOPQRSTUVWXYZ', N'abcdefghijklmnopqrstuvwxyz') = ? AND datalength([Things].[Code]) = datalength(?)) AND [Things].[Active] = ?;

-- more than 64 conditions
-- @P1 BIGINT = 0
-- @P2 BIGINT = 1
-- @P3 BIGINT = 2
-- @P4 BIGINT = 3
-- @P5 BIGINT = 4
-- @P6 BIGINT = 5
-- @P7 BIGINT = 6
-- @P8 BIGINT = 7
-- @P9 BIGINT = 8
-- @P10 BIGINT = 9
-- @P11 BIGINT = 10
-- @P12 BIGINT = 11
-- @P13 BIGINT = 12
-- @P14 BIGINT = 13
-- @P15 BIGINT = 14
-- @P16 BIGINT = 15
-- @P17 BIGINT = 16
-- @P18 BIGINT = 17
-- @P19 BIGINT = 18
-- @P20 BIGINT = 19
-- @P21 BIGINT = 20
-- @P22 BIGINT = 21
-- @P23 BIGINT = 22
-- @P24 BIGINT = 23
-- @P25 BIGINT = 24
-- @P26 BIGINT = 25
-- @P27 BIGINT = 26
-- @P28 BIGINT = 27
-- @P29 BIGINT = 28
-- @P30 BIGINT = 29
-- @P31 BIGINT = 30
-- @P32 BIGINT = 31
-- @P33 BIGINT = 32
-- @P34 BIGINT = 33
-- @P35 BIGINT = 34
-- @P36 BIGINT = 35
-- @P37 BIGINT = 36
-- @P38 BIGINT = 37
-- @P39 BIGINT = 38
-- @P40 BIGINT = 39
-- @P41 BIGINT = 40
-- @P42 BIGINT = 41
-- @P43 BIGINT = 42
-- @P44 BIGINT = 43
-- @P45 BIGINT = 44
-- @P46 BIGINT = 45
-- @P47 BIGINT = 46
-- @P48 BIGINT = 47
-- @P49 BIGINT = 48
-- @P50 BIGINT = 49
-- @P51 BIGINT = 50
-- @P52 BIGINT = 51
-- @P53 BIGINT = 52
-- @P54 BIGINT = 53
-- @P55 BIGINT = 54
-- @P56 BIGINT = 55
-- @P57 BIGINT = 56
-- @P58 BIGINT = 57
-- @P59 BIGINT = 58
-- @P60 BIGINT = 59
-- @P61 BIGINT = 60
-- @P62 BIGINT = 61
-- @P63 BIGINT = 62
-- @P64 BIGINT = 63
-- @P65 BIGINT = 64
SELECT count(*) AS count_1
FROM [Things]
WHERE ([Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ?) OR ([Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ? OR [Things].[Count] > ?);
