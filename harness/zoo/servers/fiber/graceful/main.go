// The quick start with what fiber's documentation has for a graceful end: the listener's
// GracefulContext. https://docs.gofiber.io/api/fiber#gracefulcontext
package main

import (
	"context"
	"log"
	"os/signal"
	"syscall"

	"github.com/gofiber/fiber/v3"
)

func main() {
	app := fiber.New()
	app.Get("/", func(c fiber.Ctx) error {
		return c.SendString("Hello, World 👋!")
	})
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := app.Listen(":3000", fiber.ListenConfig{GracefulContext: ctx}); err != nil {
		log.Fatal(err)
	}
}
