package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"filippo.io/age"
	"filippo.io/age/armor"

	"lastseen/schema"
)

// Secrets says what becomes of the issuer's key, with which user tokens are signed and from which the keys of cursors and of
// browsers' sessions are derived: whoever has it may be anybody.
type Secrets string

// What becomes of the issuer's key.
const (
	// OmitSecrets leaves it out: after a restore a new one is made, and people sign in again.
	OmitSecrets Secrets = "omit"
	// EncryptSecrets puts it into the backup encrypted with a passphrase.
	EncryptSecrets Secrets = "encrypted"
	// PlainSecrets puts it into the backup as it is.
	PlainSecrets Secrets = "plain"
)

// fileSuffix is that of the key's file in a backup.
func (s Secrets) fileSuffix() string {
	if s == EncryptSecrets {
		return ".age"
	}
	return ""
}

// leastPassphrase is how long a passphrase must be, in bytes.
const leastPassphrase = 12

// writeSecrets puts the key in a data directory's file into a backup.
func writeSecrets(ctx context.Context, r repository, name, path string, secrets Secrets, passphrase string) error {
	if secrets == OmitSecrets {
		return nil
	}
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no issuer's key in %s to put into the backup: leave --keys out", filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("read the issuer's key: %w", err)
	}
	if secrets == EncryptSecrets {
		if content, err = encrypt(content, passphrase); err != nil {
			return err
		}
	}
	return r.write(ctx, name, filepath.Base(path)+secrets.fileSuffix(), content)
}

// checkSecrets refuses what cannot be done before anything is.
func checkSecrets(secrets Secrets, passphrase string) error {
	switch {
	case secrets == EncryptSecrets && len(passphrase) < leastPassphrase:
		return schema.Invalid.Say(fmt.Sprintf("give a passphrase of %d characters or more, in a file (--passphrase-file) or in LASTSEEN_BACKUP_PASSPHRASE", leastPassphrase))
	case secrets != OmitSecrets && secrets != EncryptSecrets && secrets != PlainSecrets:
		return fmt.Errorf("keys cannot be %q", secrets)
	}
	return nil
}

// readSecrets returns the issuer's key of a backup, nil where it was left out.
func readSecrets(ctx context.Context, r repository, m *Manifest, file, passphrase string) ([]byte, error) {
	if m.Secrets == OmitSecrets {
		return nil, nil
	}
	content, err := r.read(ctx, m.Name, file+m.Secrets.fileSuffix())
	if err != nil {
		return nil, fmt.Errorf("read the issuer's key in the backup: %w", err)
	}
	if m.Secrets == EncryptSecrets {
		return decrypt(content, passphrase)
	}
	return content, nil
}

func encrypt(content []byte, passphrase string) ([]byte, error) {
	recipient, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return nil, fmt.Errorf("encrypt the issuer's key: %w", err)
	}
	var out bytes.Buffer
	text := armor.NewWriter(&out)
	w, err := age.Encrypt(text, recipient)
	if err == nil {
		_, err = w.Write(content)
	}
	if err == nil {
		err = errors.Join(w.Close(), text.Close())
	}
	if err != nil {
		return nil, fmt.Errorf("encrypt the issuer's key: %w", err)
	}
	return out.Bytes(), nil
}

func decrypt(content []byte, passphrase string) ([]byte, error) {
	if passphrase == "" {
		return nil, errors.New("the backup has the issuer's key, encrypted: give its passphrase, in a file (--passphrase-file) or in LASTSEEN_BACKUP_PASSPHRASE, or --keys omit to do without the key")
	}
	identity, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return nil, fmt.Errorf("decrypt the issuer's key: %w", err)
	}
	r, err := age.Decrypt(armor.NewReader(bytes.NewReader(content)), identity)
	if _, wrong := errors.AsType[*age.NoIdentityMatchError](err); wrong {
		return nil, errors.New("this is not the passphrase with which the issuer's key in the backup was encrypted: give the right one, or --keys omit to do without the key")
	}
	if err != nil {
		return nil, fmt.Errorf("decrypt the issuer's key: %w", err)
	}
	content, err = io.ReadAll(io.LimitReader(r, 1<<16))
	if err != nil {
		return nil, fmt.Errorf("decrypt the issuer's key: %w", err)
	}
	return content, nil
}
