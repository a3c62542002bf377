package load

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// A duration is a [time.Duration] whose text form is like "1.5s".
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

// The types below are Config and Client without their methods, with fields that hide
// the durations.
type (
	plainConfig Config
	configJSON  struct {
		*plainConfig
		DialTimeout       duration `json:"dialTimeout,omitzero"`
		PortRest          duration `json:"portRest,omitzero"`
		ResponseTimeout   duration `json:"responseTimeout,omitzero"`
		StreamIdleTimeout duration `json:"streamIdleTimeout,omitzero"`
	}
	plainClient Client
	clientJSON  struct {
		*plainClient
		Duration duration `json:"duration,omitzero"`
	}
)

// MarshalJSON omits Dial.
func (c Config) MarshalJSON() ([]byte, error) {
	return json.Marshal(configJSON{
		(*plainConfig)(&c), duration(c.DialTimeout), duration(c.PortRest), duration(c.ResponseTimeout), duration(c.StreamIdleTimeout),
	})
}

// UnmarshalJSON returns an error for an unknown member.
func (c *Config) UnmarshalJSON(data []byte) error {
	v := configJSON{plainConfig: (*plainConfig)(c)}
	if err := strictly(data, &v); err != nil {
		return err
	}
	c.DialTimeout = time.Duration(v.DialTimeout)
	c.PortRest = time.Duration(v.PortRest)
	c.ResponseTimeout = time.Duration(v.ResponseTimeout)
	c.StreamIdleTimeout = time.Duration(v.StreamIdleTimeout)
	return nil
}

func (c Client) MarshalJSON() ([]byte, error) {
	return json.Marshal(clientJSON{(*plainClient)(&c), duration(c.Duration)})
}

// UnmarshalJSON returns an error for an unknown member.
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
