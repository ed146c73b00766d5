// Command lastseen runs the lastseen service and talks to it from a shell; see lastseen --help.
//
// A command is a file: serve.go, demo.go, token.go, keys.go, login.go, import.go, export.go, clickhouse.go, doctor.go, bench.go;
// commands.go is their list. app.go puts the service together, and loading.go, admin.go, tracing.go, signin.go,
// damage.go, store_watch.go, descriptors.go and signals.go are its parts. The tests run the same App on port 0.
package main
