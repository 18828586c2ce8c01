-- settings
SET ANSI_NULLS ON; SET ANSI_PADDING ON; SET ANSI_WARNINGS ON; SET ARITHABORT ON; SET CONCAT_NULL_YIELDS_NULL ON; SET QUOTED_IDENTIFIER ON; SET NUMERIC_ROUNDABORT OFF; SET XACT_ABORT ON; SET IMPLICIT_TRANSACTIONS OFF; SET LANGUAGE us_english; SET TEXTSIZE 2147483647; SET TRANSACTION ISOLATION LEVEL READ COMMITTED;

-- begin
BEGIN TRANSACTION;

-- commit
COMMIT TRANSACTION;

-- rollback
IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION;

-- columns of an index
-- @P1 NVARCHAR(4000) = '[dbo].[Things]'
-- @P2 NVARCHAR(4000) = 'UNIQUE_Things_Code'
SELECT OBJECT_NAME(i.object_id), c.name FROM sys.indexes AS i JOIN sys.index_columns AS k ON k.object_id = i.object_id AND k.index_id = i.index_id JOIN sys.columns AS c ON c.object_id = k.object_id AND c.column_id = k.column_id WHERE i.object_id = OBJECT_ID(?) AND i.name = ? AND k.is_included_column = 0 ORDER BY k.key_ordinal;

-- columns of a reference
-- @P1 NVARCHAR(4000) = 'FOREIGN_KEY_Things_Maker_Makers'
SELECT OBJECT_NAME(k.parent_object_id), c.name FROM sys.foreign_keys AS f JOIN sys.foreign_key_columns AS k ON k.constraint_object_id = f.object_id JOIN sys.columns AS c ON c.object_id = k.parent_object_id AND c.column_id = k.parent_column_id WHERE f.name = ? ORDER BY k.constraint_column_id;

-- lock
-- @P1 NVARCHAR(4000) = 'changes'
DECLARE @result INT; EXECUTE @result = sys.sp_getapplock @Resource = ?, @LockMode = N'Exclusive', @LockOwner = N'Session', @LockTimeout = 0; SELECT @result;

-- unlock
-- @P1 NVARCHAR(4000) = 'changes'
EXECUTE sys.sp_releaseapplock @Resource = ?, @LockOwner = N'Session';

-- diagnosis
SELECT CAST(SERVERPROPERTY(N'ProductVersion') AS NVARCHAR(128)), CAST(SERVERPROPERTY(N'Edition') AS NVARCHAR(128)), CAST(SERVERPROPERTY(N'EngineEdition') AS INT), d.name, d.is_read_committed_snapshot_on, d.is_read_only, d.user_access_desc, SCHEMA_NAME(), HAS_PERMS_BY_NAME(QUOTENAME(DB_NAME()), N'DATABASE', N'CREATE TABLE'), HAS_PERMS_BY_NAME(QUOTENAME(DB_NAME()), N'DATABASE', N'CONTROL') FROM sys.databases AS d WHERE d.name = DB_NAME();

-- who am I
SELECT USER_NAME();

-- script
-- @P1 NVARCHAR(4000) = 'SELECT 1 AS [One]'
EXECUTE AS USER = N'apilane_script'; EXECUTE sys.sp_executesql ?; REVERT;

-- script with marks
-- @P1 NVARCHAR(4000) = "SELECT * FROM [Things] WHERE [ID] =  @v_ID  AND [Name] =  @v_Name  AND  @v_Nothing  IS NULL; SELECT '5'"
-- @P2 NVARCHAR(4000) = '@v_ID BIGINT, @v_Name NVARCHAR(4000), @v_Nothing NVARCHAR(4000)'
-- @P3 BIGINT = 5
-- @P4 NVARCHAR(4000) = "o'x"
EXECUTE AS USER = N'apilane_script'; EXECUTE sys.sp_executesql ?, ?, @v_ID = ?, @v_Name = ?, @v_Nothing = NULL; REVERT;
