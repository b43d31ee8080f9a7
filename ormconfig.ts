import { parseDatabaseUrl } from "./src/store/index.js";
import { dataSource } from "./src/store/data-source.js";

// The data source of TypeORM's own command line, for those who write migrations:
//   npx typeorm migration:show -d dist/ormconfig.js
export default dataSource(parseDatabaseUrl(process.env.DATABASE_URL ?? "file:./proxmoor.db"), ({ facts }) => {
  console.log(facts?.text ?? facts?.sql ?? "");
});
