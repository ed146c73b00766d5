// Package bench is the load suite: it measures the service's promises of speed, side by side with
// what else one would use, checks every answer while it measures, and records what it found with
// the machine, the commit and the command.
//
// The load generator is in package loadgen, the data in package dataset, the processes that lastseen
// is compared with in package rival. Here are the scenarios, and the report.
package bench
