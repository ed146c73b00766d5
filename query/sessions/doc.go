// Package sessions lists and finds sessions, each as one caller may see it.
package sessions
