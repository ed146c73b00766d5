package main

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"lastseen/keys"
)

// TestKeepTheDataDirectoryOfARelease makes the files of a release in releasesFolder, when LASTSEEN_KEEP names its version and
// LASTSEEN_KEEP_BINARY its program: `make keep-data`.
func TestKeepTheDataDirectoryOfARelease(t *testing.T) {
	version, program := os.Getenv("LASTSEEN_KEEP"), os.Getenv("LASTSEEN_KEEP_BINARY")
	if version == "" {
		t.Skip("LASTSEEN_KEEP names no version")
	}
	dir := t.TempDir()
	s, lines, err := launchServiceAs(func(process *exec.Cmd) { process.Path, process.Args[0] = program, program }, dir)
	if err == nil {
		s, err = s.listening(lines)
	}
	if err != nil {
		t.Fatal(err)
	}
	kept := fillRelease(t, s)
	if err := s.terminate(); err != nil {
		t.Fatal(err)
	}
	text, err := json.MarshalIndent(kept, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(releasesFolder, version+".json"), append(text, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
	pack(t, dir, filepath.Join(releasesFolder, version+".tar.zst"))
}

// fillRelease puts two sessions with their points, and keys, into a service.
func fillRelease(t *testing.T, s *service) *keptRelease {
	t.Helper()
	kept := &keptRelease{Org: "org_kept", Expire: time.Now().AddDate(4, 11, 0).UTC().Truncate(time.Second)}
	token := s.token(t, kept.Org, keys.RoleOwner)
	moving := fillSession(t, s, token, "AA:BB:CC:00:00:01", 400)
	ended := fillSession(t, s, token, "AA:BB:CC:00:00:02", 100)
	var done bool
	s.post(t, "/tracking/sessions/terminate/v1", url.Values{"session_id": {ended.ID}}, token, "", &done)
	ended.Ended = true
	kept.Sessions = []keptSession{moving, ended}

	var revoked map[string]any
	var revokedID string
	kept.Key, _ = s.makeKept(t, token, "api_keys", kept.Expire)
	kept.RevokedKey, revokedID = s.makeKept(t, token, "api_keys", kept.Expire)
	kept.Credential, _ = s.makeKept(t, token, "device_credentials", kept.Expire)
	s.post(t, "/orgs/api_keys/revoke/v1", url.Values{"api_key_id": {revokedID}}, token, "", &revoked)
	kept.check(t, s)
	return kept
}

// fillSession makes a session with points of some months, of which the newest is marked as an outlier.
func fillSession(t *testing.T, s *service, token, device string, points int) (kept keptSession) {
	t.Helper()
	s.post(t, "/tracking/devices/register_to_org/v1", nil, token, fmt.Sprintf(`{"device_mac_address":%q,"schema_version":1}`, device), &kept.DeviceID)
	s.post(t, "/tracking/sessions/create_session/v1", url.Values{"device_id": {kept.DeviceID}}, token, `{"schema_version":1}`, &kept.ID)
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var all []map[string]any
	for i := range points {
		all = append(all, map[string]any{
			"device_id": kept.DeviceID, "timestamp": began.Add(time.Duration(i) * 5 * time.Hour),
			"latitude": 52 + float64(i)/1000, "longitude": 13 + float64(i)/1000, "speed": float64(i % 30),
		})
	}
	for body := range slices.Chunk(all, 100) { // a part of the table each
		s.ingest(t, token, body)
	}
	newest := all[points-2]
	kept.Points, kept.Newest, kept.Outliers = points, newest["timestamp"].(time.Time), 1
	kept.Latitude, kept.Longitude = newest["latitude"].(float64), newest["longitude"].(float64)
	var shown dataPoint
	s.get(t, "/tracking/timeseries/session_by_device/last_seen/v1", url.Values{"session_id": {kept.ID}}, token, &shown)
	var marked struct {
		Successful int `json:"successful_updates"`
	}
	s.post(t, "/tracking/timeseries/session_by_device/outlier/v1", nil, token,
		fmt.Sprintf(`{"outlier":true,"tracking_session_by_device_data_point_ids":[%q]}`, shown.ID), &marked)
	if marked.Successful != 1 {
		t.Fatal("the newest point was not marked as an outlier")
	}
	return kept
}

// makeKept makes an API key or a device credential.
func (s *service) makeKept(t *testing.T, token, kind string, expire time.Time) (key, id string) {
	t.Helper()
	var record struct {
		ID  string `json:"_id"`
		Key string `json:"key"`
	}
	body := fmt.Sprintf(`{"name":"kept","expires_at_timestamp":%q}`, expire.Format(time.RFC3339))
	s.post(t, "/orgs/"+kind+"/create/v1", nil, token, body, &record)
	return record.Key, record.ID
}

// leftOut are the files that a data directory does without: logs, and what is made anew.
var leftOut = []string{"engine.log", "room-for-revocations", "lastseen.lock", "status", "preprocessed_configs", "tmp"}

// pack writes a data directory to an archive.
func pack(t *testing.T, dir, name string) {
	t.Helper()
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	compressed, err := zstd.NewWriter(file, zstd.WithEncoderLevel(zstd.SpeedBestCompression))
	if err != nil {
		t.Fatal(err)
	}
	archive := tar.NewWriter(compressed)
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		if slices.ContainsFunc(leftOut, func(name string) bool { return strings.HasPrefix(entry.Name(), name) }) {
			if entry.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		return packEntry(archive, dir, path, entry)
	})
	if err := errors.Join(err, archive.Close(), compressed.Close(), file.Close()); err != nil {
		t.Fatal(err)
	}
}

// packEntry writes a file, folder or link to an archive, without the time and the owner.
func packEntry(archive *tar.Writer, dir, path string, entry fs.DirEntry) error {
	info, err := entry.Info()
	if err != nil {
		return err
	}
	target := ""
	if entry.Type()&fs.ModeSymlink != 0 {
		if target, err = os.Readlink(path); err != nil {
			return err
		}
	}
	header, err := tar.FileInfoHeader(info, target)
	if err != nil {
		return err
	}
	if header.Name, err = filepath.Rel(dir, path); err != nil {
		return err
	}
	header.Uid, header.Gid, header.Uname, header.Gname, header.ModTime = 0, 0, "", "", time.Unix(0, 0)
	if err := archive.WriteHeader(header); err != nil || !info.Mode().IsRegular() {
		return err
	}
	content, err := os.Open(path)
	if err != nil {
		return err
	}
	defer content.Close()
	_, err = io.Copy(archive, content)
	return err
}

// unpack reads what pack has written.
func unpack(t *testing.T, name, dir string) {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	compressed, err := zstd.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	defer compressed.Close()
	archive := tar.NewReader(compressed)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err == nil {
			err = unpackEntry(archive, header, filepath.Join(dir, header.Name))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func unpackEntry(archive io.Reader, header *tar.Header, path string) error {
	switch header.Typeflag {
	case tar.TypeDir:
		return os.MkdirAll(path, 0o700)
	case tar.TypeSymlink:
		return os.Symlink(header.Linkname, path)
	}
	content, err := io.ReadAll(archive)
	if err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o600)
}
