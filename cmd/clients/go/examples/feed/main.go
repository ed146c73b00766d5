// Command feed keeps a folder of Parquet files up to date with every point of an organisation: feed FOLDER. It writes what is
// new and ends; it goes on from there when it is run again, and each arrival is in one file.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"

	"lastseen.example/client"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	server, err := client.New(os.Getenv("LASTSEEN_SERVER"), os.Getenv("LASTSEEN_KEY"))
	if err != nil {
		log.Fatal(err)
	}
	if err := follow(ctx, server, os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

// follow writes pages of the feed until one is empty. A page's file is named by the cursor at which it begins, so that one that
// was written before a crash is written again in its place.
func follow(ctx context.Context, server *client.Client, folder string) error {
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return err
	}
	kept := filepath.Join(folder, "cursor")
	cursor, err := os.ReadFile(kept)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for {
		begins := string(cursor)
		points, err := server.FeedSince(ctx, begins, 1) // only to know whether there is anything new
		if err != nil || len(points.Points) == 0 {
			return err
		}
		next, err := write(ctx, server, begins, filepath.Join(folder, "from-"+begins+".parquet"))
		if err != nil {
			return err
		}
		fmt.Println("wrote the points from", begins, "to", next)
		cursor = []byte(next)
		if err := os.WriteFile(kept+".new", cursor, 0o666); err != nil {
			return err
		}
		if err := os.Rename(kept+".new", kept); err != nil {
			return err
		}
	}
}

// write pulls one page into a file, which has its name only when it is whole.
func write(ctx context.Context, server *client.Client, cursor, path string) (next string, err error) {
	query := url.Values{"format": {"parquet"}, "limit": {"100000"}}
	if cursor != "" {
		query.Set("cursor", cursor)
	}
	file, err := os.Create(path + ".part")
	if err != nil {
		return "", err
	}
	defer file.Close()
	answer, err := server.Download(ctx, client.FeedPath, query, func() (io.Writer, error) { // called again where an answer was cut
		if err := file.Truncate(0); err != nil {
			return nil, err
		}
		_, err := file.Seek(0, io.SeekStart)
		return file, err
	})
	if err != nil {
		return "", err
	}
	return answer.Next, errors.Join(file.Sync(), os.Rename(path+".part", path))
}
