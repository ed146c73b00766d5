// Package oidc signs people in at an OpenID Connect provider and verifies the provider's tokens.
package oidc
