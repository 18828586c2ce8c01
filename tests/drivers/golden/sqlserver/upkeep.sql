-- identity by hash
-- @P1 NVARCHAR(4000) = 'text'
SELECT [AuthTokens].[ID], [AuthTokens].[Created], [AuthTokens].[Token], [Users].[ID] AS [ID_1], [Users].[Roles]
FROM [AuthTokens] JOIN [Users] ON [Users].[ID] = [AuthTokens].[Owner]
WHERE [AuthTokens].[H_Token_Hash] = ?;

-- identity by id
-- @P1 BIGINT = 7
SELECT [AuthTokens].[ID], [AuthTokens].[Created], [AuthTokens].[Token], [Users].[ID] AS [ID_1], [Users].[Roles]
FROM [AuthTokens] JOIN [Users] ON [Users].[ID] = [AuthTokens].[Owner]
WHERE [AuthTokens].[ID] = ?;

-- identity delete
-- @P1 BIGINT = 1
DELETE FROM [AuthTokens] WHERE [AuthTokens].[ID] = ?; SELECT @@ROWCOUNT;

-- identity slide
-- @P1 BIGINT = 1
-- @P2 BIGINT = 1
-- @P3 BIGINT = 1
UPDATE [AuthTokens] SET [Created]=? WHERE [AuthTokens].[ID] = ? AND [AuthTokens].[Created] < ?; SELECT @@ROWCOUNT;

-- identity user by id
-- @P1 NVARCHAR(4000) = 'text'
SELECT [Users].[ID], [Users].[Roles], [Users].[EmailConfirmed]
FROM [Users]
WHERE [Users].[ID] = ?;

-- identity user by email
-- @P1 NVARCHAR(4000) = 'text'
SELECT [Users].[ID], [Users].[Roles], [Users].[EmailConfirmed]
FROM [Users]
WHERE [Users].[H_Email_Fold] = ?;

-- identity user by name
-- @P1 NVARCHAR(4000) = 'text'
SELECT [Users].[ID], [Users].[Roles], [Users].[EmailConfirmed]
FROM [Users]
WHERE [Users].[H_Username_Fold] = ?;

-- version 1
DELETE FROM [H_Schema]; SELECT @@ROWCOUNT;

-- version 2
-- @P1 BIGINT = 2
-- @P2 BIGINT = 1
DECLARE @inserted TABLE ([ID] BIGINT NOT NULL); SET IDENTITY_INSERT [H_Schema] ON; INSERT INTO [H_Schema] ([ID], [Version]) OUTPUT INSERTED.[ID] INTO @inserted VALUES (?, ?); SET IDENTITY_INSERT [H_Schema] OFF; SELECT [ID] FROM @inserted;

-- version 3
-- @P1 NVARCHAR(4000) = 'Email confirmation'
-- @P2 BIT = False
-- @P3 NVARCHAR(4000) = 'UserRegisterConfirmation'
-- @P4 NVARCHAR(4000) = 'Welcome!'
-- @P5 NVARCHAR(4000) = "<a href='{confirmation_url}'>Confirm</a>"
DECLARE @inserted TABLE ([ID] BIGINT NOT NULL); INSERT INTO [H_Email_Templates] ([Description], [Active], [EventCode], [Subject], [Content]) OUTPUT INSERTED.[ID] INTO @inserted VALUES (?, ?, ?, ?, ?); SELECT [ID] FROM @inserted;

-- version 4
-- @P1 NVARCHAR(4000) = 'Reset password'
-- @P2 BIT = False
-- @P3 NVARCHAR(4000) = 'UserForgotPassword'
-- @P4 NVARCHAR(4000) = 'Reset Password'
-- @P5 NVARCHAR(4000) = "<a href='{reset_password_url}'>Reset</a>"
DECLARE @inserted TABLE ([ID] BIGINT NOT NULL); INSERT INTO [H_Email_Templates] ([Description], [Active], [EventCode], [Subject], [Content]) OUTPUT INSERTED.[ID] INTO @inserted VALUES (?, ?, ?, ?, ?); SELECT [ID] FROM @inserted;

-- version 5
-- @P1 BIGINT = 2
UPDATE [H_Schema] SET [Version]=?; SELECT @@ROWCOUNT;

-- history 1
-- @P1 BIGINT = 0
-- @P2 BIGINT = 0
-- @P3 BIGINT = 500
SELECT [H_Entity_Change_Tracking].[ID], [H_Entity_Change_Tracking].[Entity], [H_Entity_Change_Tracking].[Data]
FROM [H_Entity_Change_Tracking]
WHERE [H_Entity_Change_Tracking].[ID] > ? ORDER BY [H_Entity_Change_Tracking].[ID]
 OFFSET ? ROWS
 FETCH FIRST ? ROWS ONLY;

-- history 2
-- @P1 NVARCHAR(4000) = '{"Title":"x"}'
-- @P2 BIGINT = 7
UPDATE [H_Entity_Change_Tracking] SET [Data]=? WHERE [H_Entity_Change_Tracking].[ID] = ?; SELECT @@ROWCOUNT;

-- history 3
-- @P1 BIGINT = 7
-- @P2 BIGINT = 0
-- @P3 BIGINT = 500
SELECT [H_Entity_Change_Tracking].[ID], [H_Entity_Change_Tracking].[Entity], [H_Entity_Change_Tracking].[Data]
FROM [H_Entity_Change_Tracking]
WHERE [H_Entity_Change_Tracking].[ID] > ? ORDER BY [H_Entity_Change_Tracking].[ID]
 OFFSET ? ROWS
 FETCH FIRST ? ROWS ONLY;

-- history 4
-- @P1 NVARCHAR(4000) = 'Producers (earlier)'
-- @P2 NVARCHAR(4000) = 'Producers'
UPDATE [H_Entity_Change_Tracking] SET [Entity]=? WHERE [H_Entity_Change_Tracking].[Entity] = ?; SELECT @@ROWCOUNT;

-- history 5
-- @P1 NVARCHAR(4000) = 'Makers (renamed)'
-- @P2 NVARCHAR(4000) = 'Makers'
UPDATE [H_Entity_Change_Tracking] SET [Entity]=? WHERE [H_Entity_Change_Tracking].[Entity] = ?; SELECT @@ROWCOUNT;

-- history 6
-- @P1 NVARCHAR(4000) = 'Producers'
-- @P2 NVARCHAR(4000) = 'Makers (renamed)'
UPDATE [H_Entity_Change_Tracking] SET [Entity]=? WHERE [H_Entity_Change_Tracking].[Entity] = ?; SELECT @@ROWCOUNT;
