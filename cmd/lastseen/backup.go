package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"lastseen/cmd/lastseen/terminal"
	"lastseen/keys/people"
	"lastseen/schema"
	"lastseen/schema/backup"
	"lastseen/schema/embedded"
)

// backupStoreFlags say of which ClickHouse backups are, and how to reach S3.
type backupStoreFlags struct {
	ClickHouse      string `name:"clickhouse" default:"embedded" placeholder:"embedded|URL" help:"Which ClickHouse, as for 'lastseen serve' (default ${default})."`
	Database        string `default:"lastseen" placeholder:"NAME" help:"Database with the tables, unless the address names one (default ${default})."`
	Cluster         string `hidden:""`
	clickhouseFlags `embed:"" group:"ClickHouse server"`

	S3Endpoint string `name:"s3-endpoint" env:"LASTSEEN_S3_ENDPOINT" group:"S3" placeholder:"URL" help:"Address of the S3 service, such as https://s3.example; by default that of AWS."`
	S3KeyID    string `name:"s3-key-id" env:"LASTSEEN_S3_KEY_ID" group:"S3" placeholder:"ID" help:"Id of the access key."`
	S3Secret   string `name:"s3-secret" env:"LASTSEEN_S3_SECRET" group:"S3" placeholder:"SECRET" help:"Secret of the access key; put it into the environment variable, not on the command line."`

	Passphrase     string `env:"LASTSEEN_BACKUP_PASSPHRASE" group:"Keys" placeholder:"TEXT" help:"Passphrase of the issuer's key in the backup; put it into the environment variable, not on the command line, or use --passphrase-file."`
	PassphraseFile string `group:"Keys" placeholder:"FILE" help:"File with the passphrase; it goes before --passphrase."`
}

// storage makes the options of the storage.
func (f *backupStoreFlags) storage(dataDir string) schema.Options {
	return schema.Options{
		ClickHouse: f.ClickHouse, DataDir: dataDir, Database: f.Database, Cluster: f.Cluster, Security: f.security(), Connections: 4,
	}
}

// location makes the place of a repository.
func (f *backupStoreFlags) location(address string) (backup.Location, error) {
	l := backup.Location{Address: address, Endpoint: f.S3Endpoint, KeyID: f.S3KeyID, Secret: f.S3Secret}
	if l.IsBucket() {
		return l, nil
	}
	if parsed, err := url.Parse(address); err == nil && parsed.Scheme != "" {
		return l, errors.New("backups lie in a folder or in s3://bucket/prefix")
	}
	full, err := filepath.Abs(address)
	if err != nil {
		return l, fmt.Errorf("find the folder for backups: %w", err)
	}
	return backup.Location{Address: full}, nil
}

// passphrase returns the passphrase, empty where there is none.
func (f *backupStoreFlags) passphrase() (string, error) {
	if f.PassphraseFile == "" {
		return f.Passphrase, nil
	}
	text, err := os.ReadFile(f.PassphraseFile)
	if err != nil {
		return "", fmt.Errorf("read the passphrase: %w", err)
	}
	return strings.TrimRight(string(text), "\r\n"), nil
}

// backupCommand makes a backup, by the running service where there is one.
type backupCommand struct {
	To               string `required:"" env:"LASTSEEN_BACKUP_TO" placeholder:"DIR|s3://BUCKET/PREFIX" help:"Where backups lie, each in a folder of its own. With a ClickHouse server a folder must be at the same path on its machine."`
	Incremental      bool   `env:"LASTSEEN_BACKUP_INCREMENTAL" help:"Write only what is not in the newest whole backup there, which must be kept for as long as this one."`
	Keys             string `env:"LASTSEEN_BACKUP_KEYS" default:"omit" enum:"omit,encrypted,plain" help:"What becomes of the issuer's key, which signs user tokens and cursors: omit leaves it out, so that people sign in again after a restore; encrypted needs a passphrase; plain (default ${default})."`
	DataDir          string `default:"lastseen-data" placeholder:"DIR" help:"Data directory of 'lastseen serve', which may be running on it (default ${default})."`
	backupStoreFlags `embed:""`
}

// Run implements the command. It prints the name of the backup.
func (c *backupCommand) Run(ctx context.Context, std streams) error {
	location, err := c.location(c.To)
	if err != nil {
		return err
	}
	passphrase, err := c.passphrase()
	if err != nil {
		return err
	}
	order := backup.Order{To: location, Incremental: c.Incremental, Secrets: backup.Secrets(c.Keys), Passphrase: passphrase}
	progress := sayProgress(std.err)
	m, err := c.write(ctx, order, progress)
	if err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	took := m.Ended.Sub(m.Began).Round(10 * time.Millisecond)
	terminal.Say(std.err, "lastseen: the backup has %s in %d files and was verified; with what it builds on it restores %s; it took %s", mebibytes(m.Bytes), m.Files, mebibytes(m.Whole), took)
	if m.Secrets == backup.OmitSecrets {
		terminal.Say(std.err, "lastseen: the issuer's key is not in it (--keys): after a restore people sign in again, and user tokens and cursors are good no more; API keys stay good")
	}
	_, err = fmt.Fprintln(std.out, strings.TrimRight(location.Address, "/")+"/"+m.Name)
	return err
}

// write has the service make the backup that runs on the data directory, and makes it itself where none does.
func (c *backupCommand) write(ctx context.Context, order backup.Order, progress backup.Progress) (*backup.Manifest, error) {
	if c.ClickHouse == schema.Embedded {
		if _, err := os.Stat(filepath.Join(c.DataDir, "clickhouse")); err != nil {
			return nil, fmt.Errorf("there is no data of lastseen in %s: name its data directory by --data-dir (%w)", c.DataDir, err)
		}
		m, err := askService(ctx, c.DataDir, order, progress)
		if !errors.Is(err, errNoService) {
			return m, err
		}
	}
	db, err := schema.Open(ctx, c.storage(c.DataDir))
	if errors.Is(err, embedded.ErrLocked) {
		return nil, fmt.Errorf("the service that runs on %s cannot be asked for a backup; its log says why, or it is starting, or another command is at work there: %w", c.DataDir, err)
	}
	if err != nil {
		return nil, err
	}
	m, err := writeBackup(ctx, db, c.DataDir, order, progress)
	return m, errors.Join(err, db.Close())
}

// writeBackup makes a backup of a data directory's tables.
func writeBackup(ctx context.Context, db *schema.DB, dataDir string, order backup.Order, progress backup.Progress) (*backup.Manifest, error) {
	order.Key, order.Version = filepath.Join(dataDir, people.IssuerFile), version()
	return backup.Write(ctx, db, order, progress)
}

// sayProgress returns a Progress that says each step once.
func sayProgress(w io.Writer) backup.Progress {
	said := ""
	return func(doing string, step, steps int) {
		if doing != said {
			said = doing
			terminal.Say(w, "lastseen: %s (step %d of %d)", doing, step, steps)
		}
	}
}

// mebibytes writes a size for people.
func mebibytes(n uint64) string {
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}
