// Command batch prints where sessions are: batch SESSION…
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
	sessions := os.Args[1:]
	newest, _, err := server.Batch(sessions...).Next(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for i, point := range newest.Points {
		if point == nil {
			fmt.Println(sessions[i], "nowhere")
			continue
		}
		fmt.Println(sessions[i], point.Timestamp.Format(time.RFC3339), point.Location.Latitude(), point.Location.Longitude())
	}
}
