// Package stanza reads and builds the nodes of WhatsApp's binary XML.
//
// The codec itself is whatsmeow's. It was written for a client that trusts its server: it follows nested lists as deep
// as they go, makes room for as many children as a list claims to have, and inflates without an end. [Decode] walks over
// a frame first and refuses what would hurt, so that a hostile frame costs its sender the connection and nobody else
// anything.
package stanza
