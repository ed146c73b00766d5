package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"lastseen/schema/backup"
)

// askOver sends the order for a backup to a service and follows its answer to the end.
func askOver(ctx context.Context, service *http.Client, order []byte, progress backup.Progress) (*backup.Manifest, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://service"+controlBackup, bytes.NewReader(order))
	if err != nil {
		return nil, fmt.Errorf("ask the service: %w", err)
	}
	response, err := service.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask the service that runs on the data directory: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, errors.New("the service that runs on the data directory knows of no backups: it must be of this version")
	}
	lines := json.NewDecoder(response.Body)
	for {
		var line controlLine
		switch err := lines.Decode(&line); {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil, errors.New("the service has ended before the backup was whole: start it, and take another backup")
		case err != nil:
			return nil, fmt.Errorf("hear from the service: %w", err)
		case line.Error != "":
			return nil, errors.New(line.Error)
		case line.Done != nil:
			return line.Done, nil
		}
		progress(line.Doing, line.Step, line.Steps)
	}
}
