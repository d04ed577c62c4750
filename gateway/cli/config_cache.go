package cli

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"

	"github.com/graft-gateway/graft/gateway/store"
)

// Cache says where base servers' rows are kept, and prompts' keys and values.
type Cache struct {
	// Memory is that of this process; nil is 256MiB, 0 turns it off. Prompts have all of
	// it, or three quarters where rows are kept, too: a prompt is as large as thousands of
	// rows, and would push them out.
	Memory *size `yaml:"memory"`
	// Redis is shared by all replicas: redis://HOST:PORT/DB, with ?addr=HOST:PORT for
	// each further node of a cluster. Empty is none.
	Redis string `yaml:"redis"`
	// PasswordEnv names the variable that holds Redis' password; empty is the URL's.
	PasswordEnv string `yaml:"password_env"`
	// SecretEnv names the variable that holds the secret which seals what is kept in
	// Redis; empty is GRAFT_CACHE_SECRET. All replicas need the same.
	SecretEnv string `yaml:"secret_env"`
}

// defaultMemory is [Cache].Memory where the configuration says nothing.
const defaultMemory = 256 << 20

func (c Cache) memory() int64 {
	if c.Memory == nil {
		return defaultMemory
	}
	return int64(*c.Memory)
}

// promptMemory is the share of the memory that is for prompts.
func (c Cache) promptMemory(rows bool) int64 {
	if rows {
		return c.memory() / 4 * 3
	}
	return c.memory()
}

// off says whether nothing is kept.
func (c Cache) off() bool { return c.memory() == 0 && c.Redis == "" }

// remoteBase says whether a base is behind a server: its rows are kept.
func (c Config) remoteBase() bool {
	for _, large := range c.Bases.values {
		if large.remote() {
			return true
		}
	}
	return false
}

func (c Cache) secretEnv() string {
	if c.SecretEnv == "" {
		return "GRAFT_CACHE_SECRET"
	}
	return c.SecretEnv
}

// check finds what cannot be meant, and variables that are not set.
func (c Cache) check() error {
	for key, name := range map[string]string{"password_env": c.PasswordEnv, "secret_env": c.SecretEnv} {
		if err := checkVariable(key, name); err != nil {
			return err
		}
	}
	if c.Redis == "" {
		if c.PasswordEnv != "" || c.SecretEnv != "" {
			return errors.New("password_env and secret_env are for Redis: redis is missing")
		}
		return nil
	}
	if c.PasswordEnv != "" && os.Getenv(c.PasswordEnv) == "" {
		return fmt.Errorf("password_env: the variable %s is empty or not set; put Redis' password into it", c.PasswordEnv)
	}
	if secret := os.Getenv(c.secretEnv()); len(secret) < store.MinSecret {
		return fmt.Errorf("redis: what is kept there is sealed, and the variable %s holds %d bytes of the %d that a secret needs at least; put the same random text into it on all replicas (openssl rand -hex 32)",
			c.secretEnv(), len(secret), store.MinSecret)
	}
	return nil
}

// options are the store's. Without a secret one is drawn: nobody else reads what is kept
// in this process.
func (c Cache) options() store.Options {
	o := store.Options{Memory: c.memory(), Secret: []byte(os.Getenv(c.secretEnv()))}
	if len(o.Secret) == 0 {
		o.Secret = []byte(rand.Text())
	}
	if c.Redis != "" {
		o.Redis = &store.RedisOptions{URL: c.Redis, Password: os.Getenv(c.PasswordEnv)} // empty where no variable is named
	}
	return o
}
