-- register
-- @P1 NVARCHAR(4000) = 'text'
-- @P2 NVARCHAR(4000) = 'text'
-- @P3 NVARCHAR(4000) = 'text'
-- @P4 NVARCHAR(4000) = 'text'
-- @P5 NVARCHAR(4000) = 'text'
-- @P6 BIGINT = 1
-- @P7 BIT = True
DECLARE @inserted TABLE ([ID] BIGINT NOT NULL); INSERT INTO [Users] ([Email], [H_Email_Fold], [Username], [H_Username_Fold], [Password], [Created], [EmailConfirmed]) OUTPUT INSERTED.[ID] INTO @inserted VALUES (?, ?, ?, ?, ?, ?, ?); SELECT [ID] FROM @inserted;

-- sign in
-- @P1 NVARCHAR(4000) = 'text'
SELECT [Users].[ID], [Users].[Password]
FROM [Users]
WHERE [Users].[H_Email_Fold] = ?;

-- last login
-- @P1 BIGINT = 1
-- @P2 BIGINT = 1
UPDATE [Users] SET [LastLogin]=? WHERE [Users].[ID] = ?; SELECT @@ROWCOUNT;

-- password, held
-- @P1 BIGINT = 1
SELECT [Users].[Password]
FROM [Users] WITH (UPDLOCK, ROWLOCK)
WHERE [Users].[ID] IN (?) ORDER BY [Users].[ID];

-- token
-- @P1 NVARCHAR(4000) = 'text'
-- @P2 BIGINT = 1
-- @P3 BIGINT = 1
-- @P4 NVARCHAR(4000) = 'text'
DECLARE @inserted TABLE ([ID] BIGINT NOT NULL); INSERT INTO [AuthTokens] ([Token], [Owner], [Created], [H_Token_Hash]) OUTPUT INSERTED.[ID] INTO @inserted VALUES (?, ?, ?, ?); SELECT [ID] FROM @inserted;

-- token by hash
-- @P1 NVARCHAR(4000) = 'text'
SELECT [AuthTokens].[ID]
FROM [AuthTokens]
WHERE [AuthTokens].[H_Token_Hash] = ?;

-- sign out
-- @P1 BIGINT = 1
DELETE FROM [AuthTokens] WHERE [AuthTokens].[ID] = ?; SELECT @@ROWCOUNT;

-- filter by e-mail
-- @P1 NVARCHAR(4000) = 'ann@example.com'
-- @P2 NVARCHAR(4000) = 'ann@example.com'
SELECT count(*) AS count_1
FROM [Users]
WHERE translate([Users].[Email] COLLATE Latin1_General_100_BIN2, N'ABCDEFGHIJKLMNOPQRSTUVWXYZ', N'abcdefghijklmnopqrstuvwxyz') = ? AND datalength([Users].[Email]) = datalength(?);

-- mail token by hash
-- @P1 NVARCHAR(4000) = 'text'
SELECT [H_Auth_Password_Reset_Tokens].[Owner]
FROM [H_Auth_Password_Reset_Tokens]
WHERE [H_Auth_Password_Reset_Tokens].[Token] = ?;

-- history
-- @P1 NVARCHAR(4000) = 'text'
-- @P2 BIGINT = 1
-- @P3 BIGINT = 1
-- @P4 NVARCHAR(4000) = 'text'
-- @P5 BIGINT = 1
DECLARE @inserted TABLE ([ID] BIGINT NOT NULL); INSERT INTO [H_Entity_Change_Tracking] ([Entity], [RecordID], [Owner], [Data], [Created]) OUTPUT INSERTED.[ID] INTO @inserted VALUES (?, ?, ?, ?, ?); SELECT [ID] FROM @inserted;

-- expired ones
-- @P1 BIGINT = 1
SELECT min([AuthTokens].[ID]) AS min_1
FROM [AuthTokens]
WHERE [AuthTokens].[Created] <= ?;

-- sweep
-- @P1 BIGINT = 1
DELETE FROM [AuthTokens] WHERE [AuthTokens].[Created] <= ?; SELECT @@ROWCOUNT;

-- table version
SELECT [H_Schema].[Version]
FROM [H_Schema];
