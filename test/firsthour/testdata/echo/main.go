package main

import (
	"net/http"
	"os"

	"github.com/golang-jwt/jwt"
	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
	// README: imports
)

func main() {
	e := echo.New()
	e.Use(middleware.Logger())
	e.Use(middleware.Recover())
	e.Use(middleware.JWT([]byte(os.Getenv("JWT_SECRET"))))
	e.GET("/restricted", func(c echo.Context) error {
		user := c.Get("user").(*jwt.Token)
		claims := user.Claims.(jwt.MapClaims)
		return c.String(http.StatusOK, "Welcome "+claims["sub"].(string))
	})
	// README: mount
	e.Logger.Fatal(e.Start(os.Getenv("ADDRESS")))
}
