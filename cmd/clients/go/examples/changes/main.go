// Command changes prints the newest point of every session of an organisation, and then each change.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"time"

	"lastseen.example/client"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	server, err := client.New(os.Getenv("LASTSEEN_SERVER"), os.Getenv("LASTSEEN_KEY"))
	if err != nil {
		log.Fatal(err)
	}
	known := map[string]client.DataPoint{}
	for changes, err := range server.Changes(ctx, "") { // or from the Cursor that was kept
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			log.Fatal(err)
		}
		if changes.Reset {
			clear(known)
		}
		for _, point := range changes.Points {
			known[point.Metadata.SessionID] = point
			fmt.Println(point.Metadata.SessionID, point.Timestamp.Format(time.RFC3339), point.Location.Latitude(), point.Location.Longitude())
		}
		for _, session := range changes.Gone {
			delete(known, session)
			fmt.Println(session, "gone")
		}
	}
}
