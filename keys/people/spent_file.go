package people

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"lastseen/schema"
)

// spentFile is where versions up to 0.1 kept which tokens are spent: lines of an id, a space, Unix seconds.
const spentFile = "sign-in.spent"

// damagedSuffix names such a file that could not be read whole: it stays for the operator to look at.
const damagedSuffix = ".damaged"

// adoptSpentFile moves what the file of an earlier version says into the store and removes the file. Of one
// that cannot be read whole nobody knows which tokens it held: it is set aside, and deniedBefore is its
// time, before which no token may count. The zero time means that there is no such file.
func adoptSpentFile(ctx context.Context, dir string, store SpentStore) (deniedBefore time.Time, err error) {
	path := filepath.Join(dir, spentFile)
	content, err := os.ReadFile(path)
	switch {
	case err == nil:
		spent, whole := parseSpentFile(content)
		if len(spent) > 0 {
			if err := store.InsertSpentTokens(ctx, spent); err != nil {
				return time.Time{}, err
			}
		}
		if whole {
			err = os.Remove(path)
		} else {
			err = os.Rename(path, path+damagedSuffix)
		}
		if err != nil {
			return time.Time{}, fmt.Errorf("replace the file of spent tokens: %w", err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return time.Time{}, fmt.Errorf("read which sign-in tokens are spent: %w", err)
	}
	info, err := os.Stat(path + damagedSuffix)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return time.Time{}, nil
	case err != nil:
		return time.Time{}, fmt.Errorf("look for a damaged file of spent tokens: %w", err)
	}
	return info.ModTime().Add(time.Second), nil
}

// parseSpentFile reads the lines of the file and reports whether all could be read. Half a line at the end
// is whole enough: that token's use was never acknowledged. Anything else there, such as the zeros that a loss of
// power leaves, may stand where acknowledged lines were.
func parseSpentFile(content []byte) (spent []schema.SpentToken, whole bool) {
	whole = true
	for line := range bytes.Lines(content) {
		text, ended := bytes.CutSuffix(line, []byte{'\n'})
		id, seconds, _ := bytes.Cut(text, []byte{' '})
		until, err := strconv.ParseUint(string(seconds), 10, 32)
		switch {
		case err == nil && validTokenID(string(id)):
			spent = append(spent, schema.SpentToken{ID: string(id), ExpiresAt: time.Unix(int64(until), 0).UTC()})
		case ended || !halfALine.Match(text):
			whole = false
		}
	}
	return spent, whole
}

// halfALine is how a line may begin: with an id in base64url, and then perhaps a time.
var halfALine = regexp.MustCompile(`^([A-Za-z0-9_-]{0,43}|[A-Za-z0-9_-]{43} [0-9]{0,10})$`)
