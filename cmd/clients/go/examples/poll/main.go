// Command poll prints where a session is, and each change: poll SESSION.
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
	poll := server.Poll(os.Args[1])
	for {
		point, changed, err := poll.Next(ctx, 30*time.Second) // answered when something changes, or after 30 seconds
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			log.Fatal(err)
		case changed && point == nil:
			fmt.Println("nowhere yet")
		case changed:
			fmt.Println(point.Timestamp.Format(time.RFC3339), point.Location.Latitude(), point.Location.Longitude())
		}
	}
}
