-- insert
-- @P1 NVARCHAR(4000) = 'text'
-- @P2 BIGINT = 1
-- @P3 DECIMAL(38,19) = 12.5
-- @P4 BIT = True
-- @P5 BIGINT = 1
DECLARE @inserted TABLE ([ID] BIGINT NOT NULL); INSERT INTO [Things] ([Name], [Count], [Price], [Active], [Made]) OUTPUT INSERTED.[ID] INTO @inserted VALUES (?, ?, ?, ?, ?); SELECT [ID] FROM @inserted;

-- insert with its own ID
-- @P1 BIGINT = 1
-- @P2 NVARCHAR(4000) = 'text'
DECLARE @inserted TABLE ([ID] BIGINT NOT NULL); SET IDENTITY_INSERT [Things] ON; INSERT INTO [Things] ([ID], [Name]) OUTPUT INSERTED.[ID] INTO @inserted VALUES (?, ?); SET IDENTITY_INSERT [Things] OFF; SELECT [ID] FROM @inserted;

-- insert of defaults
DECLARE @inserted TABLE ([ID] BIGINT NOT NULL); INSERT INTO [Things] OUTPUT INSERTED.[ID] INTO @inserted DEFAULT VALUES; SELECT [ID] FROM @inserted;

-- insert with a null
-- @P1 NVARCHAR(4000) = 'text'
DECLARE @inserted TABLE ([ID] BIGINT NOT NULL); INSERT INTO [Things] ([Name], [Note]) OUTPUT INSERTED.[ID] INTO @inserted VALUES (?, NULL); SELECT [ID] FROM @inserted;

-- update one
-- @P1 NVARCHAR(4000) = 'text'
-- @P2 DECIMAL(38,19) = 12.5
-- @P3 BIGINT = 1
-- @P4 BIGINT = 1
UPDATE [Things] SET [Name]=?, [Price]=? WHERE [Things].[ID] = ? AND [Things].[Sponsor] = ? AND [Things].[Maker] IS NULL; SELECT @@ROWCOUNT;

-- update one, its flag goes
-- @P1 NVARCHAR(4000) = 'text'
-- @P2 BIT = False
-- @P3 NVARCHAR(4000) = 'text'
-- @P4 BIGINT = 1
UPDATE [Things] SET [Active]=CASE WHEN ([Things].[Code] = ?) THEN [Things].[Active] ELSE ? END, [Code]=? WHERE [Things].[ID] = ?; SELECT @@ROWCOUNT;

-- update some
-- @P1 BIGINT = 1
-- @P2 BIGINT = 1
UPDATE [Things] SET [Count]=? WHERE [Things].[Sponsor] = ? AND [Things].[Maker] IS NULL; SELECT @@ROWCOUNT;

-- read before writing
-- @P1 BIGINT = 1
-- @P2 BIGINT = 1
-- @P3 BIGINT = 1
-- @P4 BIGINT = 1
SELECT [Things].[ID], [Things].[Name]
FROM [Things] WITH (UPDLOCK, ROWLOCK)
WHERE [Things].[ID] IN (?, ?, ?) AND [Things].[Sponsor] = ? AND [Things].[Maker] IS NULL ORDER BY [Things].[ID];

-- read what a write refers to
-- @P1 BIGINT = 1
-- @P2 BIGINT = 1
-- @P3 BIGINT = 1
SELECT [Things].[ID]
FROM [Things] WITH (REPEATABLEREAD, ROWLOCK)
WHERE [Things].[ID] IN (?, ?) AND [Things].[Sponsor] = ? AND [Things].[Maker] IS NULL ORDER BY [Things].[ID];

-- read some
-- @P1 BIGINT = 1
SELECT [Things].[ID]
FROM [Things]
WHERE [Things].[Sponsor] = ? AND [Things].[Maker] IS NULL;

-- delete by IDs
-- @P1 BIGINT = 1
-- @P2 BIGINT = 1
-- @P3 BIGINT = 1
DELETE FROM [Things] WHERE [Things].[ID] IN (?, ?, ?); SELECT @@ROWCOUNT;

-- delete some
-- @P1 BIGINT = 1
DELETE FROM [Things] WHERE [Things].[Sponsor] = ? AND [Things].[Maker] IS NULL; SELECT @@ROWCOUNT;

-- does a record exist
-- @P1 BIGINT = 1
SELECT min([Things].[ID]) AS min_1
FROM [Things]
WHERE [Things].[Maker] = ?;
