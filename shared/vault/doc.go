// Package vault seals what is stored about a company with a key of that company's own.
//
// Every company has a 256-bit data key, wrapped by a master key (a local one, or KMS) and stored beside
// it. Sealing is AES-256-GCM; the associated data names the company and the place the text belongs to, so
// that a sealed text copied to another row or company does not open. Deleting the wrapped key shreds
// everything it sealed, backups included. Processes have opened keys in memory; once a minute they ask whether a key is
// still the company's, so that a deleted company's key is forgotten everywhere and is never taken for that of a new one.
package vault
