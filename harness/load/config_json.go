package load

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// duration is a [time.Duration] that is written "1.5s", as people write it.
type duration time.Duration

func (d duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

func (d *duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is no duration: write one like 1.5s", text)
	}
	*d = duration(v)
	return nil
}

// The types below are a Config and a Client without their methods, and with
// fields that hide the durations.
type (
	plainConfig Config
	configJSON  struct {
		*plainConfig
		DialTimeout       duration `json:"dialTimeout,omitzero"`
		ResponseTimeout   duration `json:"responseTimeout,omitzero"`
		StreamIdleTimeout duration `json:"streamIdleTimeout,omitzero"`
	}
	plainClient Client
	clientJSON  struct {
		*plainClient
		Duration duration `json:"duration,omitzero"`
	}
)

// MarshalJSON writes the configuration without its Dial.
func (c Config) MarshalJSON() ([]byte, error) {
	return json.Marshal(configJSON{
		(*plainConfig)(&c), duration(c.DialTimeout), duration(c.ResponseTimeout), duration(c.StreamIdleTimeout),
	})
}

// UnmarshalJSON reads a configuration; a member that it doesn't know is an error.
func (c *Config) UnmarshalJSON(data []byte) error {
	v := configJSON{plainConfig: (*plainConfig)(c)}
	if err := strictly(data, &v); err != nil {
		return err
	}
	c.DialTimeout = time.Duration(v.DialTimeout)
	c.ResponseTimeout = time.Duration(v.ResponseTimeout)
	c.StreamIdleTimeout = time.Duration(v.StreamIdleTimeout)
	return nil
}

// MarshalJSON writes the client.
func (c Client) MarshalJSON() ([]byte, error) {
	return json.Marshal(clientJSON{(*plainClient)(&c), duration(c.Duration)})
}

// UnmarshalJSON reads a client; a member that it doesn't know is an error.
func (c *Client) UnmarshalJSON(data []byte) error {
	v := clientJSON{plainClient: (*plainClient)(c)}
	if err := strictly(data, &v); err != nil {
		return err
	}
	c.Duration = time.Duration(v.Duration)
	return nil
}

func strictly(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return d.Decode(v)
}
