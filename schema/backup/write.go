package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"lastseen/schema"
)

// Order says which backup to make.
type Order struct {
	To Location `json:"to"`
	// Incremental builds on the newest backup there that builds on no other.
	Incremental bool `json:"incremental,omitempty"`
	// Secrets says what becomes of the issuer's key, which is in the file Key. Passphrase is for EncryptSecrets.
	Secrets    Secrets `json:"secrets"`
	Passphrase string  `json:"passphrase,omitempty"`
	Key        string  `json:"-"`
	// Version is that of this program.
	Version string `json:"-"`
}

// Progress is called with what is being done, a few words, and its number among all steps.
type Progress func(doing string, step, steps int)

// Write makes a backup and returns its manifest once it has been verified. Everything that was acknowledged before the call is in
// it; the service may write on meanwhile. What is left of one that fails counts for nothing, and is removed where it can be.
func Write(ctx context.Context, db *schema.DB, order Order, progress Progress) (m *Manifest, err error) {
	if err := errors.Join(db.CheckBackup(), checkSecrets(order.Secrets, order.Passphrase)); err != nil {
		return nil, err
	}
	r, err := open(db, order.To)
	if err != nil {
		return nil, err
	}
	m = &Manifest{Format: format, Lastseen: order.Version, Database: db.Database(), Secrets: order.Secrets}
	if m.Schema, err = db.Version(ctx); err != nil {
		return nil, err
	}
	if m.Schema == 0 {
		return nil, errors.New("there is nothing to back up: no lastseen has made its tables here")
	}
	if m.Tables, err = db.BackupSteps(ctx); err != nil {
		return nil, err
	}
	size, err := db.StoredBytes(ctx)
	if err != nil {
		return nil, err
	}
	var base *Manifest
	if order.Incremental {
		if base, err = newestWhole(ctx, r); err != nil {
			return nil, err
		}
		if len(base.Tables) != len(m.Tables) {
			return nil, fmt.Errorf("the backup %s is of another version, so that none can build on it: make one without --incremental", base.Name)
		}
		m.Base = base.Name
		size -= min(size, base.Whole)
	}
	if err := begin(ctx, r, m, size); err != nil {
		return nil, err
	}
	if err := writeInto(ctx, db, r, m, order, progress); err != nil {
		r.discard(context.WithoutCancel(ctx), m.Name)
		return nil, err
	}
	return m, nil
}

// begin begins a backup under the name of this second, or of the next one where another has this one's.
func begin(ctx context.Context, r repository, m *Manifest, size uint64) error {
	for again := false; ; again = true {
		m.Began = time.Now().UTC()
		m.Name = m.Began.Format(nameLayout)
		err := r.begin(ctx, m.Name, size)
		if again || !errors.Is(err, errTaken) {
			return err
		}
		select {
		case <-time.After(time.Until(m.Began.Truncate(time.Second).Add(time.Second))):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// writeInto fills a backup that has begun. The manifest comes last.
func writeInto(ctx context.Context, db *schema.DB, r repository, m *Manifest, order Order, progress Progress) error {
	steps := len(m.Tables) + 2
	for step, tables := range m.Tables {
		progress("writing", step+1, steps)
		size, err := db.Backup(ctx, tables, r.place(m.Name, step), m.basePlace(r, step))
		if err != nil {
			return err
		}
		m.Files, m.Bytes, m.Whole = m.Files+size.Files, m.Bytes+size.Bytes, m.Whole+size.Whole
	}
	if err := writeSecrets(ctx, r, m.Name, order.Key, order.Secrets, order.Passphrase); err != nil {
		return err
	}
	progress("verifying", steps-1, steps)
	if err := r.verify(ctx, m, false); err != nil {
		return fmt.Errorf("the backup is not as it was written: look for damage of the disk that it went to (%w)", err)
	}
	progress("finishing", steps, steps)
	m.Ended = time.Now().UTC()
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("write the manifest: %w", err)
	}
	return r.write(ctx, m.Name, manifestFile, append(text, '\n'))
}
