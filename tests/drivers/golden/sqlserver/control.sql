-- application
-- @P1 NVARCHAR(4000) = 'text'
SELECT [Applications].[Token], [Applications].[Version], [Applications].[Definition], [Applications].[Secrets]
FROM [Applications]
WHERE [Applications].[Token] = ?;

-- applications
SELECT [Applications].[Token], [Applications].[Name], [Applications].[Version]
FROM [Applications] ORDER BY [Applications].[Name];

-- applications_named
-- @P1 NVARCHAR(4000) = 'text'
SELECT [Applications].[Token], [Applications].[Version], [Applications].[Definition], [Applications].[Secrets]
FROM [Applications]
WHERE [Applications].[Name] = ?;

-- audit
-- @P1 NVARCHAR(4000) = 'text'
-- @P2 BIGINT = 1
-- @P3 BIGINT = 1
SELECT [Audit].[Token], [Audit].[Version], [Audit].[Actor], [Audit].[Created], [Audit].[Changes], [Audit].[MaskedBefore], [Audit].[MaskedAfter]
FROM [Audit]
WHERE [Audit].[Token] = ? ORDER BY [Audit].[ID] DESC
 OFFSET ? ROWS
 FETCH FIRST ? ROWS ONLY;

-- changes
-- @P1 BIGINT = 1
SELECT [Applications].[Token], [Applications].[Sequence]
FROM [Applications]
WHERE [Applications].[Sequence] > ? ORDER BY [Applications].[Sequence];

-- complete_audit
-- @P1 NVARCHAR(4000) = 'text'
-- @P2 BIGINT = 1
UPDATE [Audit] SET [Changes]=? WHERE [Audit].[ID] = ?; SELECT @@ROWCOUNT;

-- definitions
SELECT [Applications].[Definition]
FROM [Applications] ORDER BY [Applications].[Name];

-- delete_application
-- @P1 NVARCHAR(4000) = 'text'
DELETE FROM [Applications] WHERE [Applications].[Token] = ?; SELECT @@ROWCOUNT;

-- delete_dead_operator_tokens
-- @P1 BIGINT = 1
-- @P2 BIGINT = 1
DELETE FROM [OwnerTokens] WHERE [OwnerTokens].[LastUsed] <= ? AND ([OwnerTokens].[Name] IS NULL OR [OwnerTokens].[Kind] = 'session') OR [OwnerTokens].[Expires] <= ?; SELECT @@ROWCOUNT;

-- delete_operator_token
-- @P1 BIGINT = 1
-- @P2 BIGINT = 1
DELETE FROM [OwnerTokens] WHERE [OwnerTokens].[ID] = ? AND [OwnerTokens].[UserID] = ?; SELECT @@ROWCOUNT;

-- delete_operator_tokens_of
-- @P1 BIGINT = 1
-- @P2 BIGINT = 1
DELETE FROM [OwnerTokens] WHERE [OwnerTokens].[UserID] = ? AND [OwnerTokens].[ID] != ?; SELECT @@ROWCOUNT;

-- delete_outbox_mark
-- @P1 NVARCHAR(4000) = 'text'
-- @P2 BIGINT = 1
DELETE FROM [OutboxMarks] WHERE [OutboxMarks].[Token] = ? AND [OutboxMarks].[Touches] = ?; SELECT @@ROWCOUNT;

-- delete_owner_token
-- @P1 NVARCHAR(4000) = 'text'
DELETE FROM [OwnerTokens] WHERE [OwnerTokens].[TokenHash] = ?; SELECT @@ROWCOUNT;

-- delete_pending
-- @P1 NVARCHAR(4000) = 'text'
DELETE FROM [PendingChanges] WHERE [PendingChanges].[Token] = ?; SELECT @@ROWCOUNT;

-- delete_portal_user
-- @P1 BIGINT = 1
DELETE FROM [PortalUsers] WHERE [PortalUsers].[ID] = ?; SELECT @@ROWCOUNT;

-- deleted
-- @P1 BIGINT = 1
SELECT [DeletedApplications].[Token], [DeletedApplications].[Sequence]
FROM [DeletedApplications]
WHERE [DeletedApplications].[Sequence] > ? ORDER BY [DeletedApplications].[Sequence];

-- end_audit
-- @P1 NVARCHAR(4000) = 'text'
UPDATE [Audit] SET [Version]=([Audit].[Version] * -1) WHERE [Audit].[Token] = ? AND [Audit].[Version] > 0; SELECT @@ROWCOUNT;

-- forget_deleted
-- @P1 NVARCHAR(4000) = 'text'
DELETE FROM [DeletedApplications] WHERE [DeletedApplications].[Token] = ?; SELECT @@ROWCOUNT;

-- insert_application
-- @P1 NVARCHAR(4000) = 'text'
-- @P2 NVARCHAR(4000) = 'text'
-- @P3 BIGINT = 1
-- @P4 NVARCHAR(4000) = 'text'
-- @P5 NVARCHAR(4000) = 'text'
-- @P6 BIGINT = 1
-- @P7 BIGINT = 1
DECLARE @inserted TABLE ([ID] BIGINT NOT NULL); INSERT INTO [Applications] ([Token], [Name], [Version], [Definition], [Secrets], [Sequence], [Updated]) OUTPUT INSERTED.[ID] INTO @inserted VALUES (?, ?, ?, ?, ?, ?, ?); SELECT [ID] FROM @inserted;

-- insert_audit
-- @P1 NVARCHAR(4000) = 'text'
-- @P2 BIGINT = 1
-- @P3 NVARCHAR(4000) = 'text'
-- @P4 BIGINT = 1
-- @P5 NVARCHAR(4000) = 'text'
-- @P6 NVARCHAR(4000) = 'text'
-- @P7 NVARCHAR(4000) = 'text'
DECLARE @inserted TABLE ([ID] BIGINT NOT NULL); INSERT INTO [Audit] ([Token], [Version], [Actor], [Created], [Changes], [MaskedBefore], [MaskedAfter]) OUTPUT INSERTED.[ID] INTO @inserted VALUES (?, ?, ?, ?, ?, ?, ?); SELECT [ID] FROM @inserted;

-- insert_deleted
-- @P1 NVARCHAR(4000) = 'text'
-- @P2 BIGINT = 1
DECLARE @inserted TABLE ([ID] BIGINT NOT NULL); INSERT INTO [DeletedApplications] ([Token], [Sequence]) OUTPUT INSERTED.[ID] INTO @inserted VALUES (?, ?); SELECT [ID] FROM @inserted;

-- insert_instance
-- @P1 BIGINT = 1
-- @P2 NVARCHAR(4000) = 'text'
-- @P3 BIGINT = 1
-- @P4 BIGINT = 1
DECLARE @inserted TABLE ([ID] BIGINT NOT NULL); INSERT INTO [Instance] ([SchemaVersion], [KeyCheck], [Sequence], [Created]) OUTPUT INSERTED.[ID] INTO @inserted VALUES (?, ?, ?, ?); SELECT [ID] FROM @inserted;

-- insert_job_run
-- @P1 NVARCHAR(4000) = 'text'
-- @P2 BIGINT = 1
DECLARE @inserted TABLE ([ID] BIGINT NOT NULL); INSERT INTO [JobRuns] ([Name], [Started]) OUTPUT INSERTED.[ID] INTO @inserted VALUES (?, ?); SELECT [ID] FROM @inserted;

-- insert_operator_token
-- @P1 NVARCHAR(4000) = 'text'
-- @P2 BIGINT = 1
-- @P3 BIGINT = 1
-- @P4 BIGINT = 1
-- @P5 BIGINT = 1
-- @P6 NVARCHAR(4000) = 'text'
-- @P7 NVARCHAR(4000) = 'text'
-- @P8 NVARCHAR(4000) = 'text'
-- @P9 NVARCHAR(4000) = 'text'
-- @P10 NVARCHAR(4000) = 'text'
DECLARE @inserted TABLE ([ID] BIGINT NOT NULL); INSERT INTO [OwnerTokens] ([TokenHash], [UserID], [Created], [LastUsed], [Expires], [Kind], [Name], [Address], [Application], [Permissions]) OUTPUT INSERTED.[ID] INTO @inserted VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?); SELECT [ID] FROM @inserted;

-- insert_outbox_mark
-- @P1 NVARCHAR(4000) = 'text'
-- @P2 BIGINT = 1
DECLARE @inserted TABLE ([ID] BIGINT NOT NULL); INSERT INTO [OutboxMarks] ([Token], [Touches]) OUTPUT INSERTED.[ID] INTO @inserted VALUES (?, ?); SELECT [ID] FROM @inserted;

-- insert_pending
-- @P1 NVARCHAR(4000) = 'text'
-- @P2 BIGINT = 1
-- @P3 NVARCHAR(4000) = 'text'
-- @P4 NVARCHAR(4000) = 'text'
-- @P5 NVARCHAR(4000) = 'text'
-- @P6 NVARCHAR(4000) = 'text'
-- @P7 NVARCHAR(4000) = 'text'
-- @P8 NVARCHAR(4000) = 'text'
DECLARE @inserted TABLE ([ID] BIGINT NOT NULL); INSERT INTO [PendingChanges] ([Token], [Version], [Definition], [Secrets], [Actor], [Changes], [MaskedBefore], [MaskedAfter]) OUTPUT INSERTED.[ID] INTO @inserted VALUES (?, ?, ?, ?, ?, ?, ?, ?); SELECT [ID] FROM @inserted;

-- insert_portal_user
-- @P1 NVARCHAR(4000) = 'text'
-- @P2 NVARCHAR(4000) = 'text'
-- @P3 NVARCHAR(4000) = 'text'
-- @P4 BIT = True
-- @P5 BIGINT = 1
DECLARE @inserted TABLE ([ID] BIGINT NOT NULL); INSERT INTO [PortalUsers] ([Email], [EmailFold], [PasswordHash], [IsAdmin], [Created]) OUTPUT INSERTED.[ID] INTO @inserted VALUES (?, ?, ?, ?, ?); SELECT [ID] FROM @inserted;

-- instance
SELECT [Instance].[SchemaVersion], [Instance].[KeyCheck], [Instance].[Sequence]
FROM [Instance];

-- job_runs
SELECT [JobRuns].[Name], [JobRuns].[Started]
FROM [JobRuns] ORDER BY [JobRuns].[ID];

-- last_seen
SELECT [OwnerTokens].[UserID], max([OwnerTokens].[LastUsed]) AS max_1
FROM [OwnerTokens] GROUP BY [OwnerTokens].[UserID];

-- lock_instance
UPDATE [Instance] SET [Sequence]=[Instance].[Sequence]; SELECT @@ROWCOUNT;

-- note_use_of_owner_token
-- @P1 BIGINT = 1
-- @P2 BIGINT = 1
UPDATE [OwnerTokens] SET [LastUsed]=? WHERE [OwnerTokens].[ID] = ?; SELECT @@ROWCOUNT;

-- operator_token
-- @P1 NVARCHAR(4000) = 'text'
SELECT [OwnerTokens].[ID], [OwnerTokens].[LastUsed], [OwnerTokens].[Expires], [PortalUsers].[Email], [PortalUsers].[IsAdmin], [OwnerTokens].[UserID], [OwnerTokens].[Kind], [OwnerTokens].[Name], [OwnerTokens].[Application], [OwnerTokens].[Permissions]
FROM [OwnerTokens] JOIN [PortalUsers] ON [PortalUsers].[ID] = [OwnerTokens].[UserID]
WHERE [OwnerTokens].[TokenHash] = ?;

-- operator_tokens_of
-- @P1 BIGINT = 1
SELECT [OwnerTokens].[ID], [OwnerTokens].[Kind], [OwnerTokens].[Name], [OwnerTokens].[Address], [OwnerTokens].[Created], [OwnerTokens].[LastUsed], [OwnerTokens].[Expires], [OwnerTokens].[Application], [OwnerTokens].[Permissions]
FROM [OwnerTokens]
WHERE [OwnerTokens].[UserID] = ? ORDER BY [OwnerTokens].[ID];

-- outbox_marks
SELECT [OutboxMarks].[Token], [OutboxMarks].[Touches]
FROM [OutboxMarks] ORDER BY [OutboxMarks].[ID];

-- pending
-- @P1 NVARCHAR(4000) = 'text'
SELECT [PendingChanges].[Token], [PendingChanges].[Version], [PendingChanges].[Definition], [PendingChanges].[Secrets], [PendingChanges].[Actor], [PendingChanges].[Changes], [PendingChanges].[MaskedBefore], [PendingChanges].[MaskedAfter]
FROM [PendingChanges]
WHERE [PendingChanges].[Token] = ?;

-- pending_tokens
SELECT [PendingChanges].[Token]
FROM [PendingChanges] ORDER BY [PendingChanges].[ID];

-- portal_user
-- @P1 NVARCHAR(4000) = 'text'
SELECT [PortalUsers].[ID], [PortalUsers].[Email], [PortalUsers].[PasswordHash], [PortalUsers].[IsAdmin]
FROM [PortalUsers]
WHERE [PortalUsers].[EmailFold] = ?;

-- portal_users
SELECT [PortalUsers].[ID], [PortalUsers].[Email], [PortalUsers].[PasswordHash], [PortalUsers].[IsAdmin], [PortalUsers].[Created]
FROM [PortalUsers] ORDER BY [PortalUsers].[ID];

-- published
-- @P1 NVARCHAR(4000) = 'text'
-- @P2 BIGINT = 1
-- @P3 BIGINT = 1
SELECT [Audit].[Version], [Audit].[MaskedBefore], [Audit].[MaskedAfter]
FROM [Audit]
WHERE [Audit].[Token] = ? AND [Audit].[Version] > ? AND [Audit].[MaskedAfter] != ? ORDER BY [Audit].[ID] DESC;

-- raise_sequence
UPDATE [Instance] SET [Sequence]=([Instance].[Sequence] + 1); SELECT @@ROWCOUNT;

-- set_schema_version
-- @P1 BIGINT = 1
UPDATE [Instance] SET [SchemaVersion]=?; SELECT @@ROWCOUNT;

-- start_job_run
-- @P1 BIGINT = 1
-- @P2 NVARCHAR(4000) = 'text'
-- @P3 BIGINT = 1
UPDATE [JobRuns] SET [Started]=? WHERE [JobRuns].[Name] = ? AND [JobRuns].[Started] = ?; SELECT @@ROWCOUNT;

-- touch_outbox_mark
-- @P1 NVARCHAR(4000) = 'text'
UPDATE [OutboxMarks] SET [Touches]=([OutboxMarks].[Touches] + 1) WHERE [OutboxMarks].[Token] = ?; SELECT @@ROWCOUNT;

-- update_application
-- @P1 NVARCHAR(4000) = 'text'
-- @P2 BIGINT = 1
-- @P3 NVARCHAR(4000) = 'text'
-- @P4 NVARCHAR(4000) = 'text'
-- @P5 BIGINT = 1
-- @P6 BIGINT = 1
-- @P7 NVARCHAR(4000) = 'text'
UPDATE [Applications] SET [Name]=?, [Version]=?, [Definition]=?, [Secrets]=?, [Sequence]=?, [Updated]=? WHERE [Applications].[Token] = ?; SELECT @@ROWCOUNT;

-- update_portal_user
-- @P1 NVARCHAR(4000) = 'text'
-- @P2 NVARCHAR(4000) = 'text'
-- @P3 NVARCHAR(4000) = 'text'
-- @P4 BIT = True
-- @P5 BIGINT = 1
UPDATE [PortalUsers] SET [Email]=?, [EmailFold]=?, [PasswordHash]=?, [IsAdmin]=? WHERE [PortalUsers].[ID] = ?; SELECT @@ROWCOUNT;

-- tables 1
CREATE TABLE [Instance] (
  [ID] BIGINT IDENTITY(1,1) NOT NULL PRIMARY KEY,
  [SchemaVersion] BIGINT NOT NULL CONSTRAINT [DEFAULT_Instance_SchemaVersion] DEFAULT 0,
  [KeyCheck] NVARCHAR(400) COLLATE Latin1_General_100_CI_AS_SC NOT NULL CONSTRAINT [DEFAULT_Instance_KeyCheck] DEFAULT N'',
  [Sequence] BIGINT NOT NULL CONSTRAINT [DEFAULT_Instance_Sequence] DEFAULT 0,
  [Created] BIGINT NOT NULL CONSTRAINT [DEFAULT_Instance_Created] DEFAULT 0
);

-- tables 2
CREATE TABLE [Applications] (
  [ID] BIGINT IDENTITY(1,1) NOT NULL PRIMARY KEY,
  [Token] NVARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL CONSTRAINT [DEFAULT_Applications_Token] DEFAULT N'',
  [Name] NVARCHAR(100) COLLATE Latin1_General_100_CI_AS_SC NOT NULL CONSTRAINT [DEFAULT_Applications_Name] DEFAULT N'',
  [Version] BIGINT NOT NULL CONSTRAINT [DEFAULT_Applications_Version] DEFAULT 0,
  [Definition] NVARCHAR(MAX) COLLATE Latin1_General_100_CI_AS_SC NOT NULL CONSTRAINT [DEFAULT_Applications_Definition] DEFAULT N'',
  [Secrets] NVARCHAR(MAX) COLLATE Latin1_General_100_CI_AS_SC NOT NULL CONSTRAINT [DEFAULT_Applications_Secrets] DEFAULT N'',
  [Sequence] BIGINT NOT NULL CONSTRAINT [DEFAULT_Applications_Sequence] DEFAULT 0,
  [Updated] BIGINT NOT NULL CONSTRAINT [DEFAULT_Applications_Updated] DEFAULT 0
);

-- tables 3
CREATE TABLE [PendingChanges] (
  [ID] BIGINT IDENTITY(1,1) NOT NULL PRIMARY KEY,
  [Token] NVARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL CONSTRAINT [DEFAULT_PendingChanges_Token] DEFAULT N'',
  [Version] BIGINT NOT NULL CONSTRAINT [DEFAULT_PendingChanges_Version] DEFAULT 0,
  [Definition] NVARCHAR(MAX) COLLATE Latin1_General_100_CI_AS_SC NOT NULL CONSTRAINT [DEFAULT_PendingChanges_Definition] DEFAULT N'',
  [Secrets] NVARCHAR(MAX) COLLATE Latin1_General_100_CI_AS_SC NOT NULL CONSTRAINT [DEFAULT_PendingChanges_Secrets] DEFAULT N'',
  [Actor] NVARCHAR(100) COLLATE Latin1_General_100_CI_AS_SC NOT NULL CONSTRAINT [DEFAULT_PendingChanges_Actor] DEFAULT N'',
  [Changes] NVARCHAR(MAX) COLLATE Latin1_General_100_CI_AS_SC NOT NULL CONSTRAINT [DEFAULT_PendingChanges_Changes] DEFAULT N'',
  [MaskedBefore] NVARCHAR(MAX) COLLATE Latin1_General_100_CI_AS_SC NOT NULL CONSTRAINT [DEFAULT_PendingChanges_MaskedBefore] DEFAULT N'',
  [MaskedAfter] NVARCHAR(MAX) COLLATE Latin1_General_100_CI_AS_SC NOT NULL CONSTRAINT [DEFAULT_PendingChanges_MaskedAfter] DEFAULT N''
);

-- tables 4
CREATE TABLE [Audit] (
  [ID] BIGINT IDENTITY(1,1) NOT NULL PRIMARY KEY,
  [Token] NVARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL CONSTRAINT [DEFAULT_Audit_Token] DEFAULT N'',
  [Version] BIGINT NOT NULL CONSTRAINT [DEFAULT_Audit_Version] DEFAULT 0,
  [Actor] NVARCHAR(100) COLLATE Latin1_General_100_CI_AS_SC NOT NULL CONSTRAINT [DEFAULT_Audit_Actor] DEFAULT N'',
  [Created] BIGINT NOT NULL CONSTRAINT [DEFAULT_Audit_Created] DEFAULT 0,
  [Changes] NVARCHAR(MAX) COLLATE Latin1_General_100_CI_AS_SC NOT NULL CONSTRAINT [DEFAULT_Audit_Changes] DEFAULT N'',
  [MaskedBefore] NVARCHAR(MAX) COLLATE Latin1_General_100_CI_AS_SC NOT NULL CONSTRAINT [DEFAULT_Audit_MaskedBefore] DEFAULT N'',
  [MaskedAfter] NVARCHAR(MAX) COLLATE Latin1_General_100_CI_AS_SC NOT NULL CONSTRAINT [DEFAULT_Audit_MaskedAfter] DEFAULT N''
);

-- tables 5
CREATE TABLE [PortalUsers] (
  [ID] BIGINT IDENTITY(1,1) NOT NULL PRIMARY KEY,
  [Email] NVARCHAR(100) COLLATE Latin1_General_100_BIN2 NOT NULL CONSTRAINT [DEFAULT_PortalUsers_Email] DEFAULT N'',
  [EmailFold] NVARCHAR(100) COLLATE Latin1_General_100_CI_AS_SC NOT NULL CONSTRAINT [DEFAULT_PortalUsers_EmailFold] DEFAULT N'',
  [PasswordHash] NVARCHAR(400) COLLATE Latin1_General_100_CI_AS_SC NOT NULL CONSTRAINT [DEFAULT_PortalUsers_PasswordHash] DEFAULT N'',
  [IsAdmin] BIT NOT NULL CONSTRAINT [DEFAULT_PortalUsers_IsAdmin] DEFAULT 0,
  [Created] BIGINT NOT NULL CONSTRAINT [DEFAULT_PortalUsers_Created] DEFAULT 0
);

-- tables 6
CREATE TABLE [OwnerTokens] (
  [ID] BIGINT IDENTITY(1,1) NOT NULL PRIMARY KEY,
  [TokenHash] NVARCHAR(64) COLLATE Latin1_General_100_CI_AS_SC NOT NULL CONSTRAINT [DEFAULT_OwnerTokens_TokenHash] DEFAULT N'',
  [UserID] BIGINT NOT NULL CONSTRAINT [DEFAULT_OwnerTokens_UserID] DEFAULT 0,
  [Created] BIGINT NOT NULL CONSTRAINT [DEFAULT_OwnerTokens_Created] DEFAULT 0,
  [LastUsed] BIGINT NOT NULL CONSTRAINT [DEFAULT_OwnerTokens_LastUsed] DEFAULT 0,
  [Expires] BIGINT NULL,
  [Kind] NVARCHAR(20) COLLATE Latin1_General_100_CI_AS_SC NULL,
  [Name] NVARCHAR(200) COLLATE Latin1_General_100_CI_AS_SC NULL,
  [Address] NVARCHAR(100) COLLATE Latin1_General_100_CI_AS_SC NULL,
  [Application] NVARCHAR(36) COLLATE Latin1_General_100_CI_AS_SC NULL,
  [Permissions] NVARCHAR(400) COLLATE Latin1_General_100_CI_AS_SC NULL
);

-- tables 7
CREATE TABLE [OutboxMarks] (
  [ID] BIGINT IDENTITY(1,1) NOT NULL PRIMARY KEY,
  [Token] NVARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL CONSTRAINT [DEFAULT_OutboxMarks_Token] DEFAULT N'',
  [Touches] BIGINT NOT NULL CONSTRAINT [DEFAULT_OutboxMarks_Touches] DEFAULT 0
);

-- tables 8
CREATE TABLE [JobRuns] (
  [ID] BIGINT IDENTITY(1,1) NOT NULL PRIMARY KEY,
  [Name] NVARCHAR(100) COLLATE Latin1_General_100_CI_AS_SC NOT NULL CONSTRAINT [DEFAULT_JobRuns_Name] DEFAULT N'',
  [Started] BIGINT NOT NULL CONSTRAINT [DEFAULT_JobRuns_Started] DEFAULT 0
);

-- tables 9
CREATE TABLE [DeletedApplications] (
  [ID] BIGINT IDENTITY(1,1) NOT NULL PRIMARY KEY,
  [Token] NVARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL CONSTRAINT [DEFAULT_DeletedApplications_Token] DEFAULT N'',
  [Sequence] BIGINT NOT NULL CONSTRAINT [DEFAULT_DeletedApplications_Sequence] DEFAULT 0
);

-- tables 10
CREATE UNIQUE INDEX [UNIQUE_Applications_Token] ON [Applications] ([Token]);

-- tables 11
CREATE INDEX [INDEX_Applications_Name] ON [Applications] ([Name]);

-- tables 12
CREATE INDEX [INDEX_Applications_Sequence] ON [Applications] ([Sequence]);

-- tables 13
CREATE UNIQUE INDEX [UNIQUE_PendingChanges_Token] ON [PendingChanges] ([Token]);

-- tables 14
CREATE INDEX [INDEX_Audit_Token] ON [Audit] ([Token]);

-- tables 15
CREATE UNIQUE INDEX [UNIQUE_PortalUsers_EmailFold] ON [PortalUsers] ([EmailFold]);

-- tables 16
CREATE UNIQUE INDEX [UNIQUE_OwnerTokens_TokenHash] ON [OwnerTokens] ([TokenHash]);

-- tables 17
CREATE INDEX [INDEX_OwnerTokens_UserID] ON [OwnerTokens] ([UserID]);

-- tables 18
CREATE UNIQUE INDEX [UNIQUE_OutboxMarks_Token] ON [OutboxMarks] ([Token]);

-- tables 19
CREATE UNIQUE INDEX [UNIQUE_JobRuns_Name] ON [JobRuns] ([Name]);

-- tables 20
CREATE UNIQUE INDEX [UNIQUE_DeletedApplications_Token] ON [DeletedApplications] ([Token]);

-- tables 21
CREATE INDEX [INDEX_DeletedApplications_Sequence] ON [DeletedApplications] ([Sequence]);

-- tables 22
ALTER TABLE [OwnerTokens] WITH CHECK ADD CONSTRAINT [FOREIGN_KEY_OwnerTokens_UserID_PortalUsers] FOREIGN KEY ([UserID]) REFERENCES [PortalUsers] ([ID]) ON DELETE CASCADE;
