// Package preview looks at the page behind a link, to show of it what WhatsApp's apps would.
package preview
