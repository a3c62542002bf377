package sim

import (
	"fmt"
	"path/filepath"
	"slices"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// Limits of the client configurations, in requests per second. With client-go's default
// of 5, tests would wait for nothing else.
const (
	clientQPS   = 1000
	clientBurst = 2000
)

// RESTConfig returns the configuration of a client with every right (group
// system:masters). Each call returns a new copy. It has no timeout, since that would
// end watches: use contexts.
func (p *plane) RESTConfig() *rest.Config { return p.restConfig(p.admin) }

// RESTConfigAs returns the configuration of a client that is this user, in these groups
// and in system:authenticated, by a certificate signed for it. The user has the rights
// that RBAC objects grant, which are next to none at first. For the rights of a
// ServiceAccount, use the name "system:serviceaccount:<namespace>:<name>" and the
// groups "system:serviceaccounts" and "system:serviceaccounts:<namespace>".
//
// It panics if the user is empty or a name is not UTF-8, which are mistakes in a test.
func (p *plane) RESTConfigAs(user string, groups ...string) *rest.Config {
	if user == "" {
		panic("sim: RESTConfigAs needs a user's name")
	}
	own, err := p.authority.client(user, groups)
	if err != nil {
		panic(fmt.Sprintf("sim: certificate for user %q in groups %q: %v", user, groups, err))
	}
	return p.restConfig(own)
}

func (p *plane) restConfig(own pair) *rest.Config {
	return &rest.Config{
		Host: p.url(),
		TLSClientConfig: rest.TLSClientConfig{
			CAData: slices.Clone(p.authority.pem), CertData: slices.Clone(own.cert), KeyData: slices.Clone(own.key),
		},
		QPS: clientQPS, Burst: clientBurst,
	}
}

// url returns the API server's address, which never changes.
func (p *plane) url() string { return fmt.Sprintf("https://127.0.0.1:%d", p.port.number) }

// Kubeconfig returns the path of the administrator's kubeconfig file, for kubectl and
// for programs under test. It is in the state directory.
func (p *plane) Kubeconfig() string {
	return filepath.Join(p.Dir(), kubeconfigFile)
}

// WriteKubeconfigAs writes a kubeconfig file for this user (see RESTConfigAs) to path,
// which only the owner may read. The file contains the certificates, and so can be
// copied.
func (p *plane) WriteKubeconfigAs(path, user string, groups ...string) error {
	own, err := p.authority.client(user, groups)
	if err != nil {
		return err
	}
	return p.writeKubeconfig(path, p.url(), user, own)
}

func (p *plane) writeKubeconfig(path, server, user string, own pair) error {
	const name = "simulated"
	config := api.NewConfig()
	config.Clusters[name] = &api.Cluster{Server: server, CertificateAuthorityData: p.authority.pem}
	config.AuthInfos[user] = &api.AuthInfo{ClientCertificateData: own.cert, ClientKeyData: own.key}
	config.Contexts[name] = &api.Context{Cluster: name, AuthInfo: user}
	config.CurrentContext = name
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		return fmt.Errorf("write the kubeconfig of %s: %w", user, err)
	}
	return nil
}
