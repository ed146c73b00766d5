package main

import "lastseen/schema"

// clickhouseFlags say as whom to come to a ClickHouse server and how to know it.
type clickhouseFlags struct {
	ClickHouseUser     string `name:"clickhouse-user" placeholder:"NAME" help:"User of a ClickHouse server, unless its address names one."`
	ClickHousePassword string `name:"clickhouse-password" placeholder:"PASSWORD" help:"The user's password, unless the address has it; put it into the environment variable, not on the command line."`
	ClickHouseCA       string `name:"clickhouse-ca" placeholder:"FILE" help:"PEM file with the authorities that the certificate of an https:// server may be from; by default those of the system."`
	ClickHouseCert     string `name:"clickhouse-cert" placeholder:"FILE" help:"PEM file with a client certificate for an https:// server."`
	ClickHouseKey      string `name:"clickhouse-key" placeholder:"FILE" help:"PEM file with the client certificate's key."`
}

// security makes the options of the storage.
func (f *clickhouseFlags) security() schema.Security {
	return schema.Security{User: f.ClickHouseUser, Password: f.ClickHousePassword, CA: f.ClickHouseCA, Certificate: f.ClickHouseCert, Key: f.ClickHouseKey}
}
