# The images of the service (the default target), of the verification's load
# generator (--target loadagent) and of the verifier itself, for a Job (--target
# verify). Each has only a static program; the service's also has the CA roots with
# which its health checks verify https back ends.
# There is no shell, no package manager and no user database; the user is a number.
#
#   docker build -t dynamic-toolset:devel .     needs a registry for GO_IMAGE, and
#                                               a proxy for Go modules
#   scripts/image                               needs neither: it compiles on this
#                                               machine
#
# scripts/image sets the arguments below. It also passes rootfs.tar to the target
# prebuilt, which comes before those that compile, because Docker's legacy builder
# builds every stage above its target. The stages below it need BuildKit
# (RUN --mount), the default since Docker 23; before that, set DOCKER_BUILDKIT=1.
# There is no "# syntax=" line, since that would be one more image to fetch.

# Alpine's variant is the smallest one with a shell and CA roots. Only the roots get
# into an image.
ARG GO_IMAGE=golang:1.26-alpine
# The base of the target prebuilt: image-service, image-loadagent or image-verify.
ARG PREBUILT=image-service

# ---- the metadata of the images

FROM scratch AS image
ARG VERSION=devel
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
USER 65532:65532
WORKDIR /
STOPSIGNAL SIGTERM
LABEL org.opencontainers.image.version=$VERSION \
      org.opencontainers.image.revision=$REVISION \
      org.opencontainers.image.created=$CREATED \
      org.opencontainers.image.vendor="Kubernaut" \
      org.opencontainers.image.source="https://kubernaut.io/dynamic-toolset" \
      org.opencontainers.image.documentation="https://kubernaut.io/dynamic-toolset"

FROM image AS image-service
LABEL org.opencontainers.image.title="Dynamic Toolset Service" \
      org.opencontainers.image.description="Finds the observability back ends of a Kubernetes cluster, checks their health, and answers toolset lookups of AI agents over HTTP."
EXPOSE 8080 9090
ENTRYPOINT ["/dynamic-toolset"]

FROM image AS image-loadagent
LABEL org.opencontainers.image.title="Dynamic Toolset load generator" \
      org.opencontainers.image.description="Sends the load of a rolling-update verification from inside the cluster."
EXPOSE 9000
ENTRYPOINT ["/loadagent"]

FROM image AS image-verify
LABEL org.opencontainers.image.title="Dynamic Toolset verifier" \
      org.opencontainers.image.description="Rolls a workload of the cluster out under load, and tells which requests that loses, and why."
ENTRYPOINT ["/verify"]

# ---- from a program that is already built: scripts/image
# ADD unpacks the archive and keeps the times in it, even of folders, so that the
# layer depends only on the archive. COPY would not keep them.

FROM $PREBUILT AS prebuilt
ADD rootfs.tar /

# ---- self-contained: docker build . (or SELF_CONTAINED=1 scripts/image)
# The compiler runs on the building machine's platform, whatever the image's is.

FROM --platform=$BUILDPLATFORM $GO_IMAGE AS go
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=devel
ARG SOURCE_DATE_EPOCH=0
ARG GOPROXY=https://proxy.golang.org,direct
# ENV, since the stages that are built on this one inherit that in every version.
ENV CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH GOPROXY=$GOPROXY VERSION=$VERSION SOURCE_DATE_EPOCH=$SOURCE_DATE_EPOCH
WORKDIR /src

FROM go AS build
RUN --mount=type=bind,target=. --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$VERSION" -o /rootfs/dynamic-toolset . \
    && mkdir -p /rootfs/etc/ssl/certs \
    && cp /etc/ssl/certs/ca-certificates.crt /rootfs/etc/ssl/certs/ \
    && find /rootfs -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +

FROM go AS build-loadagent
RUN --mount=type=bind,target=. --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    go build -trimpath -buildvcs=false -ldflags "-s -w" -o /rootfs/loadagent ./harness/cmd/loadagent \
    && find /rootfs -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +

FROM go AS build-verify
RUN --mount=type=bind,target=. --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$VERSION" -o /rootfs/verify ./harness/cmd/verify \
    && find /rootfs -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +

FROM image-verify AS verify
COPY --from=build-verify /rootfs/ /

FROM image-loadagent AS loadagent
COPY --from=build-loadagent /rootfs/ /

FROM image-service AS dynamic-toolset
COPY --from=build /rootfs/ /
