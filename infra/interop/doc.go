// Package interop proves that the simulator speaks WhatsApp's protocol and not a private one of ours: Baileys, a client
// library of other authors in another language, pairs with it and exchanges messages with whatsmeow through it, both
// unmodified. The package has tests only.
//
// Baileys runs in a process of its own, as peer.mjs of this folder; package-lock.json pins it. infra/bench/baileys
// puts load on the simulator with the same code.
package interop
