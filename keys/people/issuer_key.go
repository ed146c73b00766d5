package people

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// openIssuerKey reads the key in a file, making it first when there is none.
func openIssuerKey(path string) (ed25519.PrivateKey, error) {
	key, err := readIssuerKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	// When another process was faster, its key counts.
	if err := makeIssuerKey(path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return readIssuerKey(path)
}

func readIssuerKey(path string) (ed25519.PrivateKey, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("others than its owner may read %s: run chmod 600 on it, or delete it to have a new key made", path)
	}
	text, err := io.ReadAll(io.LimitReader(file, 4096)) // many times a key's size
	if err != nil {
		return nil, err
	}
	damaged := fmt.Errorf("%s does not hold an Ed25519 key in PEM: delete it to have a new one made, which makes earlier tokens invalid", path)
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, damaged
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, damaged
	}
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, damaged
	}
	return key, nil
}

// makeIssuerKey makes a key in a file that appears with all its content and only if it is absent:
// otherwise the error is fs.ErrExist.
func makeIssuerKey(path string) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(dir, "issuer.key.*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(file.Name())) }()
	err = pem.Encode(file, &pem.Block{Type: "PRIVATE KEY", Bytes: encoded})
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	// A link fails where a rename would replace another process's key.
	if err := os.Link(file.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

// syncDir makes a new name in a directory survive the loss of power.
func syncDir(path string) error {
	if runtime.GOOS == "windows" {
		return nil // it cannot be done there, and NTFS keeps its own journal
	}
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
