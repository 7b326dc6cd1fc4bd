#!/bin/sh
echo a
echo c
