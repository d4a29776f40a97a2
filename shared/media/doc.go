// Package media keeps the files of messages, and decides which files are taken.
//
// # Where a file comes from and where it goes
//
// A file is taken by the API before the message that it belongs to is accepted: from an upload, out of the request, or from
// a URL (Fetcher). It is spooled to disk, so that memory stays flat; its type is read off its bytes, never off its name
// (Inspect); then it goes into a Store, and only its id travels with the message. The host that sends the message
// reads it from there.
//
// # Promises
//
//   - A file is in the store as a whole or not at all, and reading it gives the bytes that were put.
//   - A URL is fetched from public addresses only: the address is checked when it is dialled, for every redirect anew, and
//     no proxy stands in between. Length, time and the number of redirects are bounded.
//   - No decoder sees a picture before its dimensions are known to be sane.
package media
