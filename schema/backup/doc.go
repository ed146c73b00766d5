// Package backup writes backups of a service's tables and restores them, by ClickHouse's own BACKUP and RESTORE.
//
// A repository is a folder, or a prefix in an S3 bucket, with backups, each in a folder that has the time of its beginning as its
// name: the steps of schema.DB.Backup as ClickHouse writes them, in folders 1, 2, …, and manifest.json, which is written last. A
// backup that was cut short has none, and counts for nothing: not for a restore, nor as what another builds on. An incremental
// backup builds on the newest whole one of its repository, never on another incremental one, so that two folders are all that a
// restore needs; they may be moved together.
//
//	write.go      a backup is made, then verified        restore.go   tables are made of one
//	folder.go     repositories that are folders          verify.go    what ClickHouse wrote, held against its own checksums
//	bucket.go     repositories in S3                     secrets.go   the issuer's key, left out unless it is asked for
package backup
