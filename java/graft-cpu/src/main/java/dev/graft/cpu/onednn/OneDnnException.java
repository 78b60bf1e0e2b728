package dev.graft.cpu.onednn;

/** oneDNN refused or failed; the message names the operation, its shapes and types, and the status in words. */
public final class OneDnnException extends RuntimeException {
    public OneDnnException(String message) {
        super(message);
    }

    public OneDnnException(String message, Throwable cause) {
        super(message, cause);
    }
}
