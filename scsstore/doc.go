// Package scsstore x
package scsstore
