// SPDX-License-Identifier: MIT

// Go among the servers that bench/net.py compares; see serve.c.
package main

import (
	"io"
	"log"
	"net"
	"os"
)

func echo(conn net.Conn) {
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		if _, err = conn.Write(buf[:n]); err != nil {
			return
		}
	}
}

func answer(conn net.Conn) {
	var request [1024]byte
	if _, err := conn.Read(request[:]); err == nil {
		conn.Write([]byte("HTTP/1.0 200 OK\r\n\r\nhello"))
	}
}

func sendFile(conn net.Conn) {
	var request [1024]byte
	if _, err := conn.Read(request[:]); err != nil {
		return
	}
	conn.Write([]byte("HTTP/1.0 200 OK\r\n\r\n"))
	file, err := os.Open(os.Args[3])
	if err == nil {
		io.Copy(conn, file) // by sendfile
		file.Close()
	}
}

func main() {
	serve := map[string]func(net.Conn){
		"echo": echo, "short": answer, "file": sendFile,
	}[os.Args[1]]
	listener, err := net.Listen("tcp4", "127.0.0.1:"+os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go func() {
			serve(conn)
			conn.Close()
		}()
	}
}
