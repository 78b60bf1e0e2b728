package dev.graft.lora;

/** The rows of a batch that one adapter adapts: {@code fromRow} inclusive to {@code toRow} exclusive. */
public record AdapterRange(LoraAdapter adapter, int fromRow, int toRow) {
    public int rows() {
        return toRow - fromRow;
    }
}
