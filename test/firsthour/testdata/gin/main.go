package main

import (
	"log"
	"net/http"
	"os"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/golang-jwt/jwt/v5"
	// README: imports
)

func signIn(c *gin.Context) {
	claims := jwt.MapClaims{}
	text := strings.TrimPrefix(c.GetHeader("Authorization"), "Bearer ")
	key := func(*jwt.Token) (any, error) { return []byte(os.Getenv("JWT_SECRET")), nil }
	if _, err := jwt.ParseWithClaims(text, claims, key, jwt.WithValidMethods([]string{"HS256"})); err != nil {
		c.AbortWithStatusJSON(http.StatusUnauthorized, gin.H{"error": err.Error()})
		return
	}
	c.Set("user", claims["sub"])
	c.Next()
}

func main() {
	r := gin.Default()
	r.GET("/ping", func(c *gin.Context) {
		c.JSON(http.StatusOK, gin.H{"message": "pong"})
	})
	r.Use(signIn)
	r.GET("/restricted", func(c *gin.Context) {
		c.String(http.StatusOK, "Welcome "+c.GetString("user"))
	})
	// README: mount
	log.Fatal(r.Run(os.Getenv("ADDRESS")))
}
