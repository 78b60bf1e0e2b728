/** The whole story on an embedded model: fail, train, succeed, save, merge, prove. */
@NullMarked
package dev.graft.cli.quickstart;

import org.jspecify.annotations.NullMarked;
