// Package phone normalises and checks phone numbers as callers write them.
package phone
