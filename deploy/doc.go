// Package deploy holds no code: it tests the files that Graft is deployed by, without
// any engine that would run them.
//
//	docker-compose.yml, compose/    loaded by compose-go, for all profiles together and each alone
//	docker/, .dockerignore          parsed and linted as BuildKit does it; a build's context has every file that Go needs
//	redis/                          a real Redis with these users, and three that become a cluster
//	monitoring/                     strict YAML; every metric that is asked for is one that the gateway exposes
//	kubernetes/                     decoded into the API's own types; what refers to something finds it
//
// README.md says how to use them.
package deploy
