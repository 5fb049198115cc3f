const region = (region_id: string, name: string, geo_lat: string, geo_long: string) => ({
  region_id,
  name,
  default: region_id === 'aws-us-east-1',
  geo_lat,
  geo_long,
});

/** The regions that the stand-in accepts; all of them are this machine. */
export const regions = [
  region('aws-us-east-1', 'AWS US East 1 (N. Virginia)', '38.13', '-78.45'),
  region('aws-us-east-2', 'AWS US East 2 (Ohio)', '39.96', '-83.00'),
  region('aws-us-west-2', 'AWS US West 2 (Oregon)', '46.15', '-123.88'),
  region('aws-eu-central-1', 'AWS Europe Central 1 (Frankfurt)', '50.00', '8.00'),
  region('aws-eu-west-2', 'AWS Europe West 2 (London)', '51.51', '-0.13'),
  region('aws-ap-southeast-1', 'AWS Asia Pacific 1 (Singapore)', '1.37', '103.80'),
  region('aws-ap-southeast-2', 'AWS Asia Pacific 2 (Sydney)', '-33.86', '151.20'),
  region('aws-sa-east-1', 'AWS South America East 1 (São Paulo)', '-23.34', '-46.38'),
] as const;
