package main

import "testing"

func TestTheRecordedCommandHoldsNoSecret(t *testing.T) {
	t.Parallel()
	got := withoutSecrets([]string{
		"/usr/bin/lastseen", "bench", "run", "--key", "ak_one", "--key=ak_two", "--clickhouse", "http://ann:secret@10.0.0.9:8123",
		"--clickhouse=https://bob:hidden@host", "--target", "https://tracking.example.com/base",
	})
	want := "lastseen bench run --clickhouse http://10.0.0.9:8123 --clickhouse=https://host --target https://tracking.example.com/base"
	if got != want {
		t.Errorf("recorded as %q, want %q", got, want)
	}
}
