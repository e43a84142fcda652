// Package session keeps who is logged in, and where.
package session
