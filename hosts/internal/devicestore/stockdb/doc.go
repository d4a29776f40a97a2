// Package stockdb reads the tables of whatsmeow's own store. It is generated, for devicestore.Import.
package stockdb
